"""Signs of life in memory: the reference of the contract suite."""

from __future__ import annotations

import time
from collections.abc import Callable

from everlog.ports.heartbeats import LAPSED_MAX, Alive, Counts, Lease


class MemoryHeartbeats:
    """``Heartbeats`` of one process. ``monotonic_s`` is its clock."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._held: dict[Lease, tuple[int, float]] = {}
        self._turns: dict[str, float] = {}
        self._losses = 0

    async def beat(self, lease: Lease, ttl_s: int) -> None:
        """The holder is alive."""
        self._held[lease] = ttl_s, self._monotonic_s() + ttl_s

    async def look(self, lease: Lease) -> Alive | None:
        """How long the holder is still taken for alive."""
        ttl_s, until_s = self._held.get(lease, (0, 0.0))
        left_s = until_s - self._monotonic_s()
        return Alive(ttl_s, left_s) if left_s > 0 else None

    async def forget(self, lease: Lease) -> None:
        """The lease is held no longer."""
        self._held.pop(lease, None)

    async def lapsed(self, for_s: float) -> list[Lease]:
        """Leases that lapsed at least so long ago."""
        before_s = self._monotonic_s() - for_s
        return [lease for lease, (_, until_s) in self._held.items() if until_s <= before_s][:LAPSED_MAX]

    async def counts(self) -> Counts:
        """How many leases are known."""
        lapsed = sum(until_s <= self._monotonic_s() for _, until_s in self._held.values())
        return Counts(len(self._held) - lapsed, lapsed)

    async def take_turn(self, name: str, for_s: float) -> bool:
        """Whether the caller is the first to ask for this turn."""
        if self._turns.get(name, float("-inf")) > self._monotonic_s():
            return False
        self._turns[name] = self._monotonic_s() + for_s
        return True

    async def incarnation(self) -> str:
        """Another one after each loss."""
        return f"memory-{self._losses}"

    def lose_everything(self) -> None:
        """What a restart without its data does."""
        self._held.clear()
        self._turns.clear()
        self._losses += 1
