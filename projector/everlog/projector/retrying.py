"""Calls that are made again while their store is away: in place, with one time budget, behind a breaker.

A batch with all its calls, repeated ones included, ends within ``RETRY_TIMEOUT_S``: it shares one deadline. While a
store is away, one probe at a time asks for it, whatever number of partitions wait.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

import stamina

from everlog.projector import metrics
from everlog.runtime.breaker import Breaker
from everlog.schemas.errors import UnavailableError

RETRY_TIMEOUT_S: Final = 30.0
"""A store that is away longer ends the worker; well under the 300 s after which the group gives a partition away."""
RETRY_WAIT_MAX_S: Final = 2.0
"""The longest pause, as long as the breaker's: a store that is back is found within about twice that."""

_deadline_s: ContextVar[float] = ContextVar("deadline_s", default=float("inf"))
Result = TypeVar("Result")


@contextmanager
def one_deadline(timeout_s: float = RETRY_TIMEOUT_S) -> Iterator[None]:
    """All retried calls of the body, and of tasks that it begins, share this time budget; an outer one stays in force.

    The last call may overrun it by its own timeout.
    """
    token = _deadline_s.set(min(_deadline_s.get(), time.monotonic() + timeout_s))
    try:
        yield
    finally:
        _deadline_s.reset(token)


class Retries:
    """Makes the calls of one dependency, again while it is unavailable."""

    def __init__(self, dependency: str, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """``dependency`` is its name in metrics."""
        self._retried = metrics.retries_total.labels(dependency)
        self._breaker = Breaker(dependency, monotonic_s, on_change=metrics.breaker_state.labels(dependency).set)

    async def __call__(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Make a call until it succeeds, with exponential backoff and jitter.

        Raises ``UnavailableError`` when the deadline has passed, or without one after ``RETRY_TIMEOUT_S``.
        """
        try:
            return await self._breaker.call(call)
        except UnavailableError as error:
            return await self._again(call, error)

    async def _again(self, call: Callable[[], Awaitable[Result]], first: UnavailableError) -> Result:
        """Go on after the first try failed.

        That one was made outside of stamina's context, which leaves 46 objects in cycles. Three contexts a batch were
        all that the garbage collector had to do in a worker: 70 ms every two seconds at 200 events a second (measured).
        """
        left_s = min(RETRY_TIMEOUT_S, _deadline_s.get() - time.monotonic())
        if left_s <= 0:
            raise first
        async for attempt in stamina.retry_context(
            on=UnavailableError, attempts=None, timeout=left_s, wait_max=RETRY_WAIT_MAX_S
        ):
            with attempt:
                if attempt.num == 1:
                    raise first
                self._retried.inc()
                return await self._breaker.call(call)
        raise AssertionError("unreachable: the context returns or raises")
