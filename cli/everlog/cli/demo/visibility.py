"""Watching the projection live: when each appended event became visible, and how far the projection is behind."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import AsyncIterator
from typing import Final

from everlog.ports.hot import Outcomes
from everlog.ports.log import Position

AHEAD_EVENTS: Final = 4_000
"""Appended events that need not be visible yet: enough to keep every partition busy, few enough for short waits."""


class Visibility:
    """Counts appended and visible events, and remembers when batches became visible."""

    def __init__(self) -> None:
        self._ends: dict[int, list[int]] = {}
        self._times: dict[int, list[float]] = {}
        self._samples: list[tuple[int, int, float]] = []
        self._appended = self._visible = 0
        self._progress = asyncio.Event()

    async def follow(self, outcomes: AsyncIterator[Outcomes]) -> None:
        """Take in published outcomes until cancelled."""
        async for batch in outcomes:
            self._ends.setdefault(batch.partition, []).append(batch.first + len(batch.packed))
            self._times.setdefault(batch.partition, []).append(time.perf_counter())
            self._visible += len(batch.packed)
            self._progress.set()

    async def before_append(self) -> None:
        """Wait until the projection is near enough, then count one event as appended."""
        while self._appended - self._visible >= AHEAD_EVENTS:
            self._progress.clear()
            await self._progress.wait()
        self._appended += 1

    def appended(self, position: Position | None, began: float) -> None:
        """An append that began at a time (``perf_counter``) was acknowledged."""
        if position is not None:
            self._samples.append((position.partition, position.offset, began))

    def latencies_ms(self) -> list[float]:
        """For each appended event the time from its append to its outcome."""
        latencies = []
        for partition, offset, began in self._samples:
            at = bisect_right(self._ends.get(partition, []), offset)
            if at < len(self._times.get(partition, [])):
                latencies.append((self._times[partition][at] - began) * 1000)
        return latencies
