"""Events that make the fold raise, until it is cured: the bug that nobody has found yet."""

from __future__ import annotations

from typing import Any

import pytest

from everlog.domain.event import Event
from everlog.domain.law import LAW

SECRET = "what the user said"
"""Stands in the exception's text, and must not stand anywhere else."""


class Poison:
    """While it works, an event that says ``poison`` in its id or data raises, after the state was changed in place."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.works = True
        step = LAW.step

        def poisoned(state: Any, event: Event) -> Any:
            stepped = step(state, event)
            if self.works and "poison" in f"{event.id} {event.payload}":
                raise ZeroDivisionError(SECRET)
            return stepped

        monkeypatch.setattr(LAW, "step", poisoned)

    def cure(self) -> None:
        """From now on the fold is right."""
        self.works = False
