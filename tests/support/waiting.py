"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

POLL_S = 0.1
Result = TypeVar("Result")


def wait_for(condition: Callable[[], Result], *, timeout_s: float, what: str) -> Result:
    """The first truthy result of ``condition``; fails when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(POLL_S)
