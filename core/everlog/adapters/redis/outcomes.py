"""The channel of outcomes: a subscription that never goes on silently after it missed something."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import structlog
from redis.asyncio.client import PubSub

from everlog.adapters.redis.connection import DEPENDENCY, connect, translated
from everlog.ports.hot import Outcomes
from everlog.runtime.config import RedisSettings
from everlog.schemas.errors import UnavailableError

QUIET_S: Final = 5.0
"""A channel that is quiet for so long is asked for a sign of life."""

_log = structlog.get_logger(__name__)
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Outcomes)


def encode_outcomes(outcomes: Outcomes) -> bytes:
    """The message of a batch."""
    return _encoder.encode(outcomes)


@asynccontextmanager
async def subscription(settings: RedisSettings, channel: str) -> AsyncIterator[AsyncIterator[Outcomes]]:
    """Outcomes of a channel, on a connection of its own; see ``HotReader.subscribe``."""
    client = connect(settings, retries=0)  # a retry inside the driver would subscribe anew and hide the gap
    pubsub = client.pubsub()
    try:
        with translated("subscribing to outcomes"):
            await pubsub.subscribe(channel)
            if await _receive(pubsub, settings.timeout_s) != "subscribe":
                raise UnavailableError(DEPENDENCY, "the subscription to outcomes was not confirmed")
        yield _outcomes(pubsub, settings.timeout_s)
    finally:
        await pubsub.aclose()  # type: ignore[no-untyped-call]
        await client.aclose()


async def _outcomes(pubsub: PubSub, timeout_s: float) -> AsyncIterator[Outcomes]:
    while True:
        with translated("waiting for outcomes"):
            message = await _receive(pubsub, QUIET_S)
            if message is None:
                await pubsub.ping()
                message = await _receive(pubsub, timeout_s)
        if message is None or message == "subscribe":
            raise UnavailableError(DEPENDENCY, "the subscription to outcomes was interrupted")
        if isinstance(message, bytes):
            try:
                yield _decoder.decode(message)
            except msgspec.MsgspecError as error:
                _log.warning("a message on the channel of outcomes is none", error=str(error))


async def _receive(pubsub: PubSub, timeout_s: float) -> bytes | str | None:
    """The bytes of a message, or the kind of an answer (``subscribe``, ``pong``); None if nothing came in time."""
    message: dict[str, Any] | None = await pubsub.get_message(timeout=timeout_s)
    if message is None:
        return None
    return bytes(message["data"]) if message["type"] == "message" else str(message["type"])
