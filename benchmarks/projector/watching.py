"""The channel of outcomes, seen from outside: when which record became visible."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from everlog.adapters.redis import RedisHotStore
from everlog.domain.record import Position
from everlog.domain.verdicts import Accepted, unpack
from everlog.ports.hot import Outcomes
from everlog.runtime.config import RedisSettings

QUIET_S: Final = 60.0
"""When nothing was published for so long, nothing will be."""


class Arrivals:
    """What was published, and when, in seconds of ``now_s``."""

    def __init__(self, now_s: Callable[[], float] = time.perf_counter) -> None:
        self._now_s = now_s
        self._firsts: dict[int, list[int]] = defaultdict(list)
        self._arrived_s: dict[int, list[float]] = defaultdict(list)
        self._more = asyncio.Event()
        self.records = self.first_batch = 0
        self.first_s = self.last_s = 0.0

    def note(self, outcomes: Outcomes) -> None:
        """A batch was published. Raises ``ValueError`` unless all its records were accepted."""
        if not all(isinstance(unpack(packed), Accepted) for packed in outcomes.packed):
            raise ValueError(f"not all records of partition {outcomes.partition} from {outcomes.first} were accepted")
        self.last_s = self._now_s()
        if not self.records:
            self.first_s, self.first_batch = self.last_s, len(outcomes.packed)
        self.records += len(outcomes.packed)
        self._firsts[outcomes.partition].append(outcomes.first)
        self._arrived_s[outcomes.partition].append(self.last_s)
        self._more.set()

    async def reach(self, records: int) -> None:
        """Wait until so many records are visible. Raises ``TimeoutError``."""
        while self.records < records:
            self._more.clear()
            async with asyncio.timeout(QUIET_S):
                await self._more.wait()

    def visible_s(self, position: Position) -> float:
        """When a record became visible: with the last batch that begins at or before it."""
        batch = bisect_right(self._firsts[position.partition], position.offset) - 1
        return self._arrived_s[position.partition][batch]


@asynccontextmanager
async def watching() -> AsyncIterator[Arrivals]:
    """Note what is published while the body runs; what goes wrong with that ends the body."""
    arrivals = Arrivals()

    async def note_all(published: AsyncIterator[Outcomes]) -> None:
        async for outcomes in published:
            arrivals.note(outcomes)

    async with (
        RedisHotStore(RedisSettings.load(), generation=1, epoch=1) as hot,
        hot.subscribe() as published,
        asyncio.TaskGroup() as group,
    ):
        noting = group.create_task(note_all(published))
        yield arrivals
        noting.cancel()
