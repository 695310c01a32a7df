"""Deltas in memory: the reference of the contract suite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from everlog.ports.deltas import Delta, Listening


class MemoryDeltas:
    """``Deltas`` within one process."""

    def __init__(self) -> None:
        self._listeners: set[_Listening] = set()

    async def publish(self, delta: Delta) -> None:
        """Tell a delta to every listener that follows its session."""
        for listener in self._listeners:
            listener.hear(delta)

    def is_followed(self, key: str) -> bool:
        """Whether anybody hears a session's deltas now: for tests."""
        return any(listener.follows(key) for listener in self._listeners)

    def listen(self) -> AbstractAsyncContextManager[Listening]:
        """Subscribe, for as long as the context is entered."""
        return self._listen()

    @asynccontextmanager
    async def _listen(self) -> AsyncIterator[Listening]:
        listening = _Listening()
        self._listeners.add(listening)
        try:
            yield listening
        finally:
            self._listeners.discard(listening)


class _Listening:
    def __init__(self) -> None:
        self._followed: set[str] = set()
        self._heard: asyncio.Queue[Delta] = asyncio.Queue()

    def follows(self, key: str) -> bool:
        return key in self._followed

    def hear(self, delta: Delta) -> None:
        if self.follows(delta.key):
            self._heard.put_nowait(delta)

    async def follow(self, key: str) -> None:
        """Hear the deltas of a session."""
        self._followed.add(key)

    async def unfollow(self, key: str) -> None:
        """Hear them no more."""
        self._followed.discard(key)

    async def deltas(self) -> AsyncIterator[Delta]:
        """Deltas as they come."""
        while True:
            yield await self._heard.get()
