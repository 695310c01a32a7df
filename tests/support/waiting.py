"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any, TypeVar

POLL_S = 0.1
ASYNC_POLL_S = 0.02
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


async def until(condition: Callable[[], Any], *, timeout_s: float = 20.0, what: str = "what was waited for") -> Any:
    """The first truthy result of ``condition``, which may be a coroutine; fails when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        given = condition()
        result = await given if inspect.isawaitable(given) else given
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        await asyncio.sleep(ASYNC_POLL_S)
