"""The client of S3, with everything that matters set explicitly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from pydantic import SecretStr

from everlog.runtime.config import S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ATTEMPTS = 3
"""Tries of one call by the driver, the only layer that repeats it."""

CONNECT_TIMEOUT_S = 3
"""A reachable endpoint answers a TCP handshake far sooner; a dead one must not hold a thread."""

READ_TIMEOUT_S = 20
"""Between two packets: long enough for a look-alike that is compacting, short enough to notice a hung one."""

POOL_SIZE = 16
"""Threads and connections: one wave of a session's ranges over 15 segments."""


def make_client(settings: S3Settings) -> S3Client:
    """A thread-safe client with explicit timeouts, retries and as many connections as there are threads."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=POOL_SIZE,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
    )
    session = boto3.session.Session(
        aws_access_key_id=_clear(settings.access_key),
        aws_secret_access_key=_clear(settings.secret_key),
        region_name=settings.region,
    )
    return session.client("s3", endpoint_url=settings.endpoint_url, config=config)


def _clear(secret: SecretStr | None) -> str | None:
    """The text of a secret; None makes boto3 search by itself (environment, instance role)."""
    return secret.get_secret_value() if secret is not None else None
