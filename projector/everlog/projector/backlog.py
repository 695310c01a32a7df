"""Chunks of a partition that were fetched while a batch of it runs: together they are the next batch.

A nearly live log is fetched in small chunks. Each has the fixed cost of a batch, several round trips to the stores; so
what waits is taken at once, and the batches grow with the load by themselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from everlog.ports.log import LogRecord
from everlog.projector.scheduling import CHUNK_RECORDS


class Backlog:
    """What waits of one partition; holds at most ``CHUNK_RECORDS`` and one chunk."""

    def __init__(self) -> None:
        self._chunks: deque[Sequence[LogRecord]] = deque()
        self._records = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self.is_drained = True
        """Whether nobody is taking from it now."""

    async def add(self, chunk: Sequence[LogRecord]) -> None:
        """Put a chunk behind the others; returns when there is room for the next one."""
        self._chunks.append(chunk)
        self._count(len(chunk))
        await self._has_room.wait()

    def take(self) -> Sequence[LogRecord]:
        """The next batch: chunks that follow each other without a hole, at most ``CHUNK_RECORDS``; empty if none wait.

        A single larger chunk is taken whole.
        """
        if not self._chunks:
            return ()
        batch = list(self._chunks.popleft())
        while self._chunks and self._chunks[0][0].offset == batch[-1].offset + 1:
            if len(batch) + len(self._chunks[0]) > CHUNK_RECORDS:
                break
            batch += self._chunks.popleft()
        self._count(-len(batch))
        return batch

    def clear(self) -> None:
        """Pass over what waits: it will be fetched again."""
        self._chunks.clear()
        self._count(-self._records)

    def _count(self, added: int) -> None:
        self._records += added
        if self._records < CHUNK_RECORDS:
            self._has_room.set()
        else:
            self._has_room.clear()
