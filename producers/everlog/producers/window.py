"""The bound on what waits to be acknowledged."""

from __future__ import annotations

import asyncio


class Window:
    """Bytes that were accepted and not settled yet, at most ``limit`` and one record."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._room = asyncio.Event()
        self._room.set()

    def try_take(self, size: int) -> bool:
        """Take ``size`` bytes, unless the window is full."""
        if self._taken >= self._limit:
            self._room.clear()
            return False
        self._taken += size
        return True

    async def take(self, size: int) -> None:
        """Take ``size`` bytes, waiting for room."""
        while not self.try_take(size):
            await self._room.wait()

    def give(self, size: int) -> None:
        """Give ``size`` bytes back."""
        self._taken -= size
        if self._taken < self._limit:
            self._room.set()
