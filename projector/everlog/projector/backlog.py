"""Chunks of a partition that were fetched while a batch of it runs: together they are the next batch.

A nearly live log is fetched in small chunks. Each has the fixed cost of a batch, several round trips to the stores; so
what waits is taken at once, and the batches grow with the load by themselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from everlog.ports.log import LogRecord
from everlog.projector.scheduling import CHUNK_BYTES, CHUNK_RECORDS, value_bytes


class Backlog:
    """What waits of one partition; holds at most ``CHUNK_RECORDS`` and ``CHUNK_BYTES``, and one chunk."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[Sequence[LogRecord], int]] = deque()
        """Each with the bytes of its values."""
        self._records = self._bytes = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self.is_drained = True
        """Whether nobody is taking from it now."""

    async def add(self, chunk: Sequence[LogRecord]) -> None:
        """Put a chunk behind the others; returns when there is room for the next one."""
        size = sum(map(value_bytes, chunk))
        self._chunks.append((chunk, size))
        self._count(len(chunk), size)
        await self._has_room.wait()

    def take(self) -> Sequence[LogRecord]:
        """The next batch: chunks that follow each other without a hole, within the bounds; empty if none wait.

        A single larger chunk is taken whole.
        """
        if not self._chunks:
            return ()
        first, filled = self._chunks.popleft()
        batch = list(first)
        while self._chunks and self._chunks[0][0][0].offset == batch[-1].offset + 1:
            chunk, size = self._chunks[0]
            if len(batch) + len(chunk) > CHUNK_RECORDS or filled + size > CHUNK_BYTES:
                break
            self._chunks.popleft()
            batch += chunk
            filled += size
        self._count(-len(batch), -filled)
        return batch

    def clear(self) -> None:
        """Pass over what waits: it will be fetched again."""
        self._chunks.clear()
        self._count(-self._records, -self._bytes)

    def _count(self, records: int, size: int) -> None:
        self._records += records
        self._bytes += size
        if self._records < CHUNK_RECORDS and self._bytes < CHUNK_BYTES:
            self._has_room.set()
        else:
            self._has_room.clear()
