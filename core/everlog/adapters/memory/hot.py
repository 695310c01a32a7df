"""The hot store in memory: the reference of the contract suite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

from everlog.domain.stored import StoredSession, TimelineEntry, decode_stored, encode_stored
from everlog.ports.hot import TAIL_ENTRIES, HotWrite, Outcomes, newest_entries


class _Held(NamedTuple):
    place: tuple[int, int, int]
    version: int
    blob: bytes
    tail: list[TimelineEntry]


class MemoryHotStore:
    """A ``HotStore`` of one process and one generation; all that ``at_epoch`` gives share it."""

    def __init__(self, epoch: int = 0) -> None:
        self._epoch = epoch
        self._held: dict[tuple[int, str], _Held] = {}
        self._subscribers: set[asyncio.Queue[Outcomes]] = set()

    def at_epoch(self, epoch: int) -> MemoryHotStore:
        """The same store under another hot epoch: nothing of the old one is seen."""
        other = MemoryHotStore(epoch)
        other._held, other._subscribers = self._held, self._subscribers
        return other

    async def get(self, key: str) -> StoredSession | None:
        """The hot document; None if it is not hot."""
        held = self._held.get((self._epoch, key))
        return decode_stored(held.blob) if held is not None else None

    async def tail(self, key: str, newest: int = TAIL_ENTRIES) -> list[TimelineEntry]:
        """The newest entries without a hole, oldest first; empty if they are not hot."""
        held = self._held.get((self._epoch, key))
        return held.tail[-newest:] if held is not None else []

    async def put(self, writes: Sequence[HotWrite]) -> None:
        """Move sessions forward; one that is there with the same or a later place is left as it is."""
        for document, entries in writes:
            held = self._held.get((self._epoch, document.key))
            place = (document.era, document.offset, document.revision)
            if held is not None and held.place >= place:
                continue
            tail = [*(held.tail if held is not None else ()), *entries]
            if held is not None and held.version != document.version - len(entries):
                tail = list(entries)
            kept = newest_entries(tail, document.version)
            self._held[self._epoch, document.key] = _Held(place, document.version, encode_stored(document), kept)

    async def drop(self, keys: Sequence[str]) -> None:
        """Forget sessions."""
        for key in keys:
            self._held.pop((self._epoch, key), None)

    async def publish(self, outcomes: Outcomes) -> None:
        """Give outcomes to all subscribers."""
        for queue in self._subscribers:
            queue.put_nowait(outcomes)

    async def incarnation(self) -> str:
        """Always the same: what it forgets, it forgets as a whole."""
        return "memory"

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[Outcomes]]:
        """Every outcome that is published while the context is entered."""
        return self._subscription()

    @asynccontextmanager
    async def _subscription(self) -> AsyncIterator[AsyncIterator[Outcomes]]:
        queue: asyncio.Queue[Outcomes] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            yield _all_of(queue)
        finally:
            self._subscribers.discard(queue)


async def _all_of(queue: asyncio.Queue[Outcomes]) -> AsyncIterator[Outcomes]:
    while True:
        yield await queue.get()
