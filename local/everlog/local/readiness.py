"""Asks a service one real question, to know that it serves and not only listens.

The only place outside the adapters that imports drivers: it asks servers that belong to this room, at a time when
no adapter could work yet. Each function returns when the service is ready and raises otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Callable

from everlog.local.process import Child, tail
from everlog.schemas.errors import UnavailableError

# Local requests answer within milliseconds; a service that needs longer is not ready.
_REQUEST_TIMEOUT_S = 3.0
_PAUSE_S = 0.1


def wait_until_ready(
    name: str, probe: Callable[[], None], child: Child, timeout_s: float, abandoned: Callable[[], bool]
) -> None:
    """Repeat ``probe`` until it succeeds; ``abandoned`` says that nobody waits any more.

    Raises:
        UnavailableError: the child ended or the time is over; with the end of its log.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            probe()
        except Exception as error:  # whatever a driver raises means: not yet
            reason = f"{type(error).__name__}: {error}"
        else:
            return
        if child.exit_code is not None:
            raise not_started(name, f"it ended with exit code {child.exit_code}", child)
        if abandoned():
            raise not_started(name, "given up before it was ready", child)
        if time.monotonic() > deadline:
            raise not_started(name, f"not ready after {timeout_s:.0f} s ({reason[:300]})", child)
        child.wait(_PAUSE_S)


def not_started(name: str, detail: str, child: Child) -> UnavailableError:
    """An error with what the service itself said last."""
    log = child.command.log
    return UnavailableError(name, f"{detail}. The end of its log:\n{tail(log)}", hint=f"The whole log is {log}")


def listening(address: str) -> None:
    """Something accepts connections at host:port; spares the drivers their noisy first failures."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), _REQUEST_TIMEOUT_S).close()


def kafka(bootstrap: str) -> None:
    """The controller would create a topic now."""
    listening(bootstrap)
    asyncio.run(_kafka(bootstrap))


async def _kafka(bootstrap: str) -> None:
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(_REQUEST_TIMEOUT_S * 1000))
    try:
        await admin.start()
        topic = NewTopic("everlog-readiness", num_partitions=1, replication_factor=1)
        answer = await admin.create_topics([topic], validate_only=True)
        for name, code, *message in answer.topic_errors:
            if code != 0:
                raise UnavailableError("Kafka", f"refuses to create {name}: {code} {message}")
    finally:
        await admin.close()


def redis(url: str) -> None:
    """It answers a command; while it loads its file it would refuse."""
    from redis import Redis

    with Redis.from_url(url, socket_timeout=_REQUEST_TIMEOUT_S) as client:
        client.ping()


def mongo(url: str) -> None:
    """It answers a command."""
    from pymongo import MongoClient

    listening(url.removeprefix("mongodb://"))
    client: MongoClient[dict[str, object]]
    with MongoClient(url, timeoutMS=int(_REQUEST_TIMEOUT_S * 1000)) as client:
        client.admin.command("ping")


def s3(endpoint: str, access_key: str, secret_key: str) -> None:
    """It stores an object, gives it back and forgets it."""
    import boto3
    from botocore.config import Config

    listening(endpoint.removeprefix("http://"))
    config = Config(
        connect_timeout=_REQUEST_TIMEOUT_S, read_timeout=_REQUEST_TIMEOUT_S, retries={"total_max_attempts": 1}
    )
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=config,
    )
    try:
        bucket, body = "everlog-readiness", secrets.token_bytes(16)
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):  # of a try that failed later
            client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="probe", Body=body)
        answer = client.get_object(Bucket=bucket, Key="probe")
        with answer["Body"] as stream:
            if stream.read() != body:
                raise UnavailableError("SeaweedFS", "gave back other bytes than it was given")
        client.delete_object(Bucket=bucket, Key="probe")
        client.delete_bucket(Bucket=bucket)
    finally:
        client.close()
