"""A clock that can be put forward, for what takes its clocks as arguments."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """The real time, and what it was put forward by."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic_s(self) -> float:
        """Seconds that only ever grow."""
        return time.monotonic() + self.ahead_s

    def now(self) -> datetime:
        """The wall clock, UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def forward(self, seconds: float) -> None:
        """Put it forward."""
        self.ahead_s += seconds
