"""Virtual time: actions run one at a time, in the order of their moments; nothing waits for real."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Final

from simulation.violation import Violation

ACTIONS_MAX: Final = 50_000
"""Actions of one schedule; they are about a thousand, so more means that writers run in a circle."""


class Clock:
    """What the time is, in milliseconds, and what comes next."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, delay_ms: float, action: Callable[[], None]) -> None:
        """Run an action later; of two for the same moment the one that was asked for first."""
        heapq.heappush(self._due, (self.now_ms + delay_ms, next(self._numbers), action))

    def run(self) -> None:
        """Run until nothing is left to do."""
        for _ in range(ACTIONS_MAX):
            if not self._due:
                return
            self.now_ms, _, action = heapq.heappop(self._due)
            action()
        raise Violation("the schedule does not end")
