"""What every consumer without stores does with a record, and how its process tells how long that took."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import NoReturn

from everlog.domain.event import Event
from everlog.domain.law import LAW
from everlog.domain.state import State
from everlog.domain.verdicts import Accepted
from everlog.runtime.collector import relax_collector


class Stopwatch:
    """Ends the process when the expected number of records was handled, timed from the first to the last."""

    def __init__(self, expected: int) -> None:
        relax_collector()  # as our service does; the others may have the same advantage
        self._expected = expected
        self._handled = self._accepted = 0
        self._began = 0.0

    def begin(self) -> None:
        """A record is about to be handled."""
        if not self._handled:
            self._began = time.perf_counter()

    def end(self, *, accepted: bool) -> None:
        """It was handled."""
        self._handled += 1
        self._accepted += accepted
        if self._handled == self._expected:
            self._report(time.perf_counter() - self._began)

    def _report(self, seconds: float) -> NoReturn:
        """Say it and go, at once: leaving a group in good order takes seconds, and nobody waits for it here."""
        print(json.dumps({"seconds": seconds, "handled": self._handled, "accepted": self._accepted}))
        sys.stdout.flush()
        os._exit(0)


class Work:
    """Decodes, judges and folds records; the states stay in memory."""

    def __init__(self, expected: int) -> None:
        self._stopwatch = Stopwatch(expected)
        self._states: dict[str, State | None] = {}

    def handle(self, value: bytes | None) -> None:
        """Fold the next record."""
        self._stopwatch.begin()
        event, accepted = LAW.decode(value), False
        if isinstance(event, Event):
            self._states[event.key], verdict = LAW.step(self._states.get(event.key), event)
            accepted = isinstance(verdict, Accepted)
        self._stopwatch.end(accepted=accepted)
