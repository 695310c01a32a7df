"""The log, and a network in front of it that loses, delays and doubles what it is given."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from random import Random

from everlog.domain.record import Record, partition_of
from simulation.clock import Clock

PARTITIONS = 1
PARTITION = 0
LATENCY_MS = 5.0
"""The longest way to the log."""
FATES = {"arrives": 80, "is lost": 8, "is held back": 6, "comes twice": 6}
"""What becomes of a request, in per cent."""


class SimulatedLog:
    """One partition: what is appended stays, in order, with dense offsets."""

    def __init__(self, clock: Clock) -> None:
        self.records: list[Record] = []
        self._clock = clock

    def append(self, key: str, value: bytes) -> int:
        """Append a record; returns its offset."""
        raw, offset = key.encode(), len(self.records)
        self.records.append(Record(partition_of(raw, PARTITIONS), offset, int(self._clock.now_ms), raw, value))
        return offset


class Network:
    """Carries requests to the log.

    A copy that is held back, or comes again, does so at most ``reach`` records later: as a broker's client resends
    within its timeout. A hand-over by a writer is another thing: it may come at any time, and is stamped as a retry.
    """

    def __init__(self, clock: Clock, log: SimulatedLog, chance: Random, reach: int) -> None:
        self._clock, self._log, self._chance, self._reach = clock, log, chance, reach
        self._numbers = itertools.count()
        self._held: list[tuple[int, int, Callable[[], None]]] = []

    def send(self, key: str, value: bytes, appended: Callable[[int], None]) -> None:
        """Carry a value to the log, or not; ``appended`` is told the offset of each copy that lands."""

        def land() -> None:
            appended(self._log.append(key, value))
            self._release(len(self._log.records))

        fate = self._chance.choices(list(FATES), list(FATES.values()))[0]
        if fate in {"arrives", "comes twice"}:
            self._clock.after(self._chance.uniform(0, LATENCY_MS), land)
        if fate in {"is held back", "comes twice"}:
            until = len(self._log.records) + self._chance.randint(1, self._reach)
            heapq.heappush(self._held, (until, next(self._numbers), land))

    def release_all(self) -> bool:
        """Let everything land that is held back; whether there was any."""
        had_any = bool(self._held)
        while self._held:
            heapq.heappop(self._held)[2]()
        return had_any

    def _release(self, length: int) -> None:
        while self._held and self._held[0][0] <= length:
            heapq.heappop(self._held)[2]()
