"""What the S3 adapter needs to know, and the client that it makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import boto3
from botocore.config import Config

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


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """Where the bucket is and how to reach it.

    ``endpoint_url`` None means AWS; keys None mean boto3's own search (environment, instance role). ``checksum``
    "native" lets the server prove the bytes it receives (x-amz-checksum-sha256); "metadata" is for look-alikes that
    refuse that header. Either way the sha256 is kept as the object's metadata.
    """

    bucket: str
    endpoint_url: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    region: str = "us-east-1"
    checksum: Literal["native", "metadata"] = "native"
    pool_size: int = POOL_SIZE


def make_client(settings: S3Settings) -> S3Client:
    """A thread-safe client with explicit timeouts, retries and as many connections as there are threads."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=settings.pool_size,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
    )
    session = boto3.session.Session(
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        region_name=settings.region,
    )
    return session.client("s3", endpoint_url=settings.endpoint_url, config=config)
