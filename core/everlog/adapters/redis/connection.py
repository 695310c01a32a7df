"""How we connect to Redis, and what its driver's errors become."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)

from everlog.runtime.config import RedisSettings
from everlog.schemas.errors import ConfigurationError, UnavailableError

DEPENDENCY: Final = "Redis"
Client = Redis
CONNECTIONS: Final = 32
"""Of one process. Calls beyond wait for a free one within the timeout; the driver's usual pool refuses them instead."""
RETRIES: Final = 1
"""A second try finds a new connection after a restart or failover; more is the caller's breaker's matter."""
RETRY_BASE_S: Final = 0.02
RETRY_CAP_S: Final = 0.2

_CREDENTIALS = "Check the user and password in EVERLOG_REDIS__URL, and that user's rights"
_HINTS: Final[tuple[tuple[type[RedisError], str], ...]] = (
    (AuthenticationError, _CREDENTIALS),
    (AuthorizationError, _CREDENTIALS),
    (NoPermissionError, _CREDENTIALS),
    (OutOfMemoryError, "Give Redis more memory, or set maxmemory-policy allkeys-lru: all of it can be rebuilt"),
    (ReadOnlyError, "EVERLOG_REDIS__URL names a replica: name the primary"),
)


def connect(settings: RedisSettings, *, retries: int = RETRIES) -> Redis:
    """A client; nothing is sent yet. Raises ``ConfigurationError`` for an address that is none."""
    backoff = ExponentialBackoff(cap=RETRY_CAP_S, base=RETRY_BASE_S) if retries else NoBackoff()
    try:
        pool = BlockingConnectionPool.from_url(
            settings.url.get_secret_value(),
            max_connections=CONNECTIONS,
            timeout=settings.timeout_s,
            socket_timeout=settings.timeout_s,
            socket_connect_timeout=settings.timeout_s,
            retry=Retry(backoff, retries),
        )
    except ValueError as error:
        raise ConfigurationError(f"EVERLOG_REDIS__URL is not an address of Redis: {error}") from None
    return Redis.from_pool(pool)


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn what the driver raises into ``UnavailableError`` with a hint; ``action`` says what was being done."""
    try:
        yield
    except (RedisError, OSError) as error:
        hint = next((hint for kind, hint in _HINTS if isinstance(error, kind)), "Check EVERLOG_REDIS__URL")
        raise UnavailableError(DEPENDENCY, f"{action}: {error or type(error).__name__}", hint=hint) from error
