"""How far the owned partitions are behind the log, measured beside the batches: it costs them nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from everlog.ports.log import LogReader
from everlog.projector import metrics
from everlog.schemas.errors import EverlogError

MEASURE_INTERVAL_S: Final = 1.0
ASK_TIMEOUT_S: Final = 5.0
"""A log that does not say its bounds for so long is measured by what it said last."""


class _Standstill(NamedTuple):
    """Since when a partition's watermark has stood still while records waited (monotonic)."""

    watermark: int
    since_s: float


class LagMeter:
    """Shows, for each owned partition, what the log holds and how far its watermark is behind."""

    def __init__(
        self,
        log: LogReader,
        watermarks: Callable[[], Mapping[int, int]],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """``watermarks`` tells those of the partitions that are owned now."""
        self._log, self._watermarks, self._monotonic_s = log, watermarks, monotonic_s
        self._ends: dict[int, int] = {}
        self._waiting: dict[int, _Standstill] = {}

    async def run(self) -> None:
        """Measure every second, until cancelled."""
        while True:
            await self.measure()
            await asyncio.sleep(MEASURE_INTERVAL_S)

    async def measure(self) -> None:
        """Set the gauges; those of a partition that is no longer owned go."""
        await asyncio.gather(*map(self._ask, self._watermarks()))
        watermarks = self._watermarks()
        for partition in self._ends.keys() - watermarks.keys():
            self._forget(partition)
        for partition, watermark in watermarks.items():
            if partition in self._ends:
                self._compare(partition, watermark)
        now_s = self._monotonic_s()
        metrics.lag_seconds.set(max((now_s - each.since_s for each in self._waiting.values()), default=0))

    async def _ask(self, partition: int) -> None:
        try:
            bounds = await asyncio.wait_for(self._log.bounds(partition), ASK_TIMEOUT_S)
        except (EverlogError, TimeoutError):
            return
        self._ends[partition] = bounds.end
        metrics.log_start_offset.labels(partition).set(bounds.start)
        metrics.log_end_offset.labels(partition).set(bounds.end)

    def _compare(self, partition: int, watermark: int) -> None:
        lag = max(0, self._ends[partition] - watermark)
        metrics.lag_events.labels(partition).set(lag)
        if lag == 0:
            self._waiting.pop(partition, None)
        elif partition not in self._waiting or self._waiting[partition].watermark != watermark:
            self._waiting[partition] = _Standstill(watermark, self._monotonic_s())

    def _forget(self, partition: int) -> None:
        del self._ends[partition]
        self._waiting.pop(partition, None)
        for gauge in (metrics.lag_events, metrics.log_start_offset, metrics.log_end_offset):
            gauge.remove(partition)
