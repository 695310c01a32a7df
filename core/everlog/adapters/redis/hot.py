"""The hot store in Redis: of a session a hash with its document, and a list with its newest entries.

One Lua script moves both, so a reader never sees a tail that belongs to another state; writes go in pipelines.
Keys: ``everlog:g<generation>:e<hot epoch>:{tenant/session}:s`` and ``:t``; the braces keep both on one node of a
Redis Cluster.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from typing import Any, Final

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from everlog.adapters.redis.connection import connect, translated
from everlog.adapters.redis.outcomes import encode_outcomes, subscription
from everlog.domain.stored import StoredSession, TimelineEntry, checksum, decode_stored, encode_stored
from everlog.ports.hot import TAIL_BYTES, TAIL_ENTRIES, HotWrite, Outcomes, newest_entries
from everlog.runtime.config import RedisSettings
from everlog.runtime.lifecycle import Closing

PIPELINE_WRITES: Final = 500
"""Writes of one pipeline: 100 to 1,000 reach Redis's own limit, and each command before it waits for all of them."""
PIPELINE_BYTES: Final = 4 * 1024 * 1024
"""Their bytes at most, and one write: bounds what both sides buffer."""

_SCRIPT: Final = files(__package__).joinpath("put.lua").read_text()
_entry_encoder: Final = msgspec.msgpack.Encoder()
_entry_decoder: Final = msgspec.msgpack.Decoder(TimelineEntry)
_log = structlog.get_logger(__name__)

Arguments = list[Any]


def _unheard(key: str) -> None:
    """Who counts damaged documents passes an own function."""


class RedisHotStore(Closing):
    """A ``HotStore`` of one generation under one hot epoch. Close it, or use it as an async context manager.

    ``on_damaged`` is called with the key of every document whose checksum is wrong or that cannot be read.
    """

    def __init__(
        self,
        settings: RedisSettings,
        generation: int,
        epoch: int,
        *,
        on_damaged: Callable[[str], None] = _unheard,
        client: Redis | None = None,
    ) -> None:
        self._settings, self._generation, self._epoch, self._on_damaged = settings, generation, epoch, on_damaged
        self._client = client if client is not None else connect(settings)
        self._sha = ""

    async def close(self) -> None:
        """Close the connections, also those of ``at_epoch``."""
        await self._client.aclose()

    def at_epoch(self, epoch: int) -> RedisHotStore:
        """The same store under another hot epoch, on the same connections."""
        return RedisHotStore(self._settings, self._generation, epoch, on_damaged=self._on_damaged, client=self._client)

    async def get(self, key: str) -> StoredSession | None:
        """The hot document, kept hot for longer; None if it is not hot, or damaged. Raises ``UnavailableError``."""
        state, tail = self._keys(key)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hmget(state, ["checksum", "document"])
        pipeline.expire(state, self._settings.idle_ttl_s)
        pipeline.expire(tail, self._settings.idle_ttl_s)
        with translated("reading a session"):
            (expected, blob), *_ = await pipeline.execute()
        if blob is None:
            return None
        stored = _read(expected, blob)
        if stored is None:
            _log.error("a hot document is damaged", key=key, generation=self._generation, epoch=self._epoch)
            self._on_damaged(key)
        return stored

    async def tail(self, key: str, newest: int = TAIL_ENTRIES) -> list[TimelineEntry]:
        """The newest entries without a hole, oldest first; empty if not hot. Raises ``UnavailableError``."""
        with translated("reading a tail"):
            raw: list[Any] = await self._client.lrange(self._keys(key)[1], -newest, -1)
        entries = [_entry_decoder.decode(item) for item in raw]
        return newest_entries(entries, entries[-1].version) if entries else []

    async def put(self, writes: Sequence[HotWrite]) -> None:
        """Move sessions forward. Raises ``UnavailableError``: some were moved, and all may be sent again."""
        for chunk in _chunks(self._arguments(write) for write in writes):
            with translated("writing sessions"):
                await self._write(chunk)

    async def drop(self, keys: Sequence[str]) -> None:
        """Forget sessions. Raises ``UnavailableError``."""
        for first in range(0, len(keys), PIPELINE_WRITES):
            pipeline = self._client.pipeline(transaction=False)
            for key in keys[first : first + PIPELINE_WRITES]:
                pipeline.unlink(*self._keys(key))
            with translated("dropping sessions"):
                await pipeline.execute()

    async def publish(self, outcomes: Outcomes) -> None:
        """Tell every gateway the outcomes of a batch. Raises ``UnavailableError``."""
        with translated("publishing outcomes"):
            await self._client.publish(self._channel, encode_outcomes(outcomes))

    async def incarnation(self) -> str:
        """The server's run id, which is new after every restart and another one's after a failover.

        Raises ``UnavailableError``.
        """
        with translated("asking for the run id"):
            server: dict[str, Any] = await self._client.info("server")
        return str(server["run_id"])

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[Outcomes]]:
        """Every outcome that is published while the context is entered. Raises ``UnavailableError``."""
        return subscription(self._settings, self._channel)

    @property
    def _channel(self) -> str:
        return f"everlog:g{self._generation}:outcomes"

    def _keys(self, key: str) -> tuple[str, str]:
        prefix = f"everlog:g{self._generation}:e{self._epoch}:{{{key}}}"
        return f"{prefix}:s", f"{prefix}:t"

    def _arguments(self, write: HotWrite) -> Arguments:
        document = write.document
        blob = encode_stored(document)
        position = (document.era, document.offset, document.revision)
        bounds = (document.version, self._settings.idle_ttl_s, TAIL_ENTRIES, TAIL_BYTES)
        entries = [_entry_encoder.encode(entry) for entry in newest_entries(write.entries, document.version)]
        return [2, *self._keys(document.key), *position, checksum(blob), blob, *bounds, *entries]

    async def _write(self, chunk: Sequence[Arguments]) -> None:
        if not self._sha:
            self._sha = await self._client.script_load(_SCRIPT)
        try:
            await self._run(chunk)
        except NoScriptError:  # Redis was restarted; what was written already refuses to be written again
            await self._client.script_load(_SCRIPT)
            await self._run(chunk)

    async def _run(self, chunk: Sequence[Arguments]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for arguments in chunk:
            pipeline.evalsha(self._sha, *arguments)
        await pipeline.execute()


def _read(expected: bytes | None, blob: bytes) -> StoredSession | None:
    """The document of an encoding; None if its checksum is wrong or it cannot be read."""
    if expected is None or int(expected) != checksum(blob):
        return None
    try:
        return decode_stored(blob)
    except msgspec.MsgspecError:
        return None


def _chunks(all_arguments: Iterator[Arguments]) -> Iterator[list[Arguments]]:
    """Pipelines within ``PIPELINE_WRITES`` and ``PIPELINE_BYTES``."""
    chunk: list[Arguments] = []
    size = 0
    for arguments in all_arguments:
        chunk.append(arguments)
        size += sum(len(argument) for argument in arguments if isinstance(argument, bytes))
        if len(chunk) == PIPELINE_WRITES or size >= PIPELINE_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
