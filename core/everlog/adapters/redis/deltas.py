"""Deltas through Redis: a channel per session, of which a gateway hears those that somebody follows there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from everlog.adapters.redis.connection import DEPENDENCY, connect, translated
from everlog.ports.deltas import Delta, Listening
from everlog.runtime.config import RedisSettings
from everlog.schemas.errors import UnavailableError

PREFIX: Final = "everlog:deltas:"
QUIET_S: Final = 5.0
"""Channels that are quiet for so long are asked for a sign of life."""
_NOBODY: Final = f"{PREFIX}#"
"""The channel of no session: whoever follows none stays subscribed to something."""


class RedisDeltas:
    """``Deltas`` on a client of the caller's, which publishes; every subscription has a connection of its own."""

    def __init__(self, settings: RedisSettings, client: Redis) -> None:
        self._settings, self._client = settings, client

    async def publish(self, delta: Delta) -> None:
        """Tell a delta to every gateway that follows its session. Raises ``UnavailableError``."""
        with translated("publishing a delta"):
            await self._client.publish(PREFIX + delta.key, delta.data)

    def listen(self) -> AbstractAsyncContextManager[Listening]:
        """Subscribe, for as long as the context is entered. Raises ``UnavailableError``."""
        return self._listen()

    @asynccontextmanager
    async def _listen(self) -> AsyncIterator[Listening]:
        client = connect(self._settings, retries=0)  # a retry inside the driver would hide that something was missed
        pubsub = client.pubsub()
        try:
            with translated("subscribing to deltas"):
                await pubsub.subscribe(_NOBODY)
            yield _Listening(pubsub, self._settings.timeout_s)
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]
            await client.aclose()


class _Listening:
    def __init__(self, pubsub: PubSub, timeout_s: float) -> None:
        self._pubsub, self._timeout_s = pubsub, timeout_s

    async def follow(self, key: str) -> None:
        """Hear the deltas of a session."""
        with translated("subscribing to deltas"):
            await self._pubsub.subscribe(PREFIX + key)

    async def unfollow(self, key: str) -> None:
        """Hear them no more."""
        with translated("unsubscribing from deltas"):
            await self._pubsub.unsubscribe(PREFIX + key)

    async def deltas(self) -> AsyncIterator[Delta]:
        """Deltas as they come."""
        while True:
            with translated("waiting for deltas"):
                message = await self._pubsub.get_message(timeout=QUIET_S)
                if message is None:
                    await self._pubsub.ping()
                    message = await self._pubsub.get_message(timeout=self._timeout_s)
            if message is None:
                raise UnavailableError(DEPENDENCY, "the subscription to deltas was interrupted")
            if message["type"] == "message":
                yield _delta(message)


def _delta(message: dict[str, Any]) -> Delta:
    return Delta(bytes(message["channel"]).decode().removeprefix(PREFIX), bytes(message["data"]))
