"""How every client of ours connects to Kafka, and what its driver's errors become."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    KafkaError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)

from everlog.runtime.config import KafkaSettings
from everlog.schemas.errors import ConfigurationError, UnavailableError

REQUEST_TIMEOUT_S: Final = 10.0
"""One request to a broker: longer than a leader election (about 5 s), shorter than a caller's patience."""
RETRY_BACKOFF_MS: Final = 100
DEPENDENCY: Final = "Kafka"

_CREDENTIALS = "Check the EVERLOG_KAFKA__ settings of security and SASL, and the rights of that user"
_REPLICAS = "Too few replicas are in sync: bring the missing brokers back"
_HINTS: Final[tuple[tuple[type[KafkaError], str], ...]] = (
    (AuthenticationFailedError, _CREDENTIALS),
    (AuthenticationMethodNotSupported, _CREDENTIALS),
    (SaslAuthenticationFailed, _CREDENTIALS),
    (UnsupportedSaslMechanismError, _CREDENTIALS),
    (TopicAuthorizationFailedError, _CREDENTIALS),
    (ClusterAuthorizationFailedError, _CREDENTIALS),
    (UnknownTopicOrPartitionError, "Create the topic with: everlog init"),
    (NotEnoughReplicasError, _REPLICAS),
    (NotEnoughReplicasAfterAppendError, _REPLICAS),
)


def client_arguments(settings: KafkaSettings) -> dict[str, Any]:
    """The keyword arguments that every aiokafka client takes.

    Raises ``ConfigurationError`` for a file of authorities that cannot be read, or SASL without a user.
    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": [broker.strip() for broker in settings.brokers.split(",") if broker.strip()],
        "request_timeout_ms": int(REQUEST_TIMEOUT_S * 1000),
        "retry_backoff_ms": RETRY_BACKOFF_MS,
    }
    return arguments | security_arguments(settings)


def security_arguments(settings: KafkaSettings) -> dict[str, Any]:
    """Those of them that are about TLS and SASL. Raises ``ConfigurationError``."""
    protocol = settings.security_protocol
    arguments: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        arguments["ssl_context"] = _tls(settings)
    if protocol.startswith("SASL"):
        if settings.sasl_username is None or settings.sasl_password is None:
            raise ConfigurationError(
                f"security protocol {protocol} needs a user and a password",
                hint="Set EVERLOG_KAFKA__SASL_USERNAME and EVERLOG_KAFKA__SASL_PASSWORD_FILE",
            )
        arguments["sasl_mechanism"] = settings.sasl_mechanism
        arguments["sasl_plain_username"] = settings.sasl_username
        arguments["sasl_plain_password"] = settings.sasl_password.get_secret_value()
    return arguments


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ssl_ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(
            f"cannot read the certificate authorities in {settings.ssl_ca_file}: {error}",
            hint="EVERLOG_KAFKA__SSL_CA_FILE must name a PEM file",
        ) from None


def hint_for(error: BaseException, settings: KafkaSettings) -> str:
    """What an operator should do about a driver's error."""
    for kind, hint in _HINTS:
        if isinstance(error, kind):
            return hint
    return f"Check that the brokers {settings.brokers} run and can be reached"


@contextmanager
def translated(settings: KafkaSettings, action: str) -> Iterator[None]:
    """Turn what the driver raises into ``UnavailableError`` with a hint; ``action`` says what was being done."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        detail = str(error) or type(error).__name__
        raise UnavailableError(DEPENDENCY, f"{action}: {detail}", hint=hint_for(error, settings)) from error


@asynccontextmanager
async def admin_client(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client, closed at the end. Raises ``UnavailableError``, ``ConfigurationError``."""
    admin = AIOKafkaAdminClient(**client_arguments(settings))
    try:
        with translated(settings, "connecting"):
            await admin.start()
        yield admin
    finally:
        await admin.close()
