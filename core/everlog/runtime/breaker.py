"""A circuit breaker for asyncio: a dependency that fails is left alone for a while, then asked once.

    closed      calls go through; enough failures within the window open it
    open        calls are refused at once, until the pause is over
    half-open   exactly one call goes through as a probe; its end closes or opens it again, all others are refused

Of a cancelled call nothing is known: it neither counts nor, as a probe, decides; the next call probes again. Only
``UnavailableError`` counts as a failure: whatever else a call raises, the dependency has answered.
(Source: Nygard, "Release It!", 2nd ed. 2018, chapter 5. Own code, because every library that was tested lets many
probes through at once when half-open.)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Final, TypeVar

from everlog.schemas.errors import UnavailableError

FAILURES: Final = 3
"""So many within the window: a single lost connection is no outage."""
WINDOW_S: Final = 30.0
PAUSE_S: Final = 2.0
"""As long as a call to a dead dependency takes at most: longer would only delay the return."""

Result = TypeVar("Result")


class BreakerState(IntEnum):
    """The numbers are what the metric shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class RefusedError(UnavailableError):
    """The dependency failed moments ago and was not asked."""


class Breaker:
    """Guards one dependency. ``monotonic_s`` is the clock; ``on_change`` is told every new state."""

    def __init__(
        self,
        dependency: str,
        monotonic_s: Callable[[], float],
        *,
        failures: int = FAILURES,
        window_s: float = WINDOW_S,
        pause_s: float = PAUSE_S,
        on_change: Callable[[BreakerState], None] = lambda _: None,
    ) -> None:
        self.dependency = dependency
        self._monotonic_s = monotonic_s
        self._bound, self._window_s, self._pause_s = failures, window_s, pause_s
        self._on_change = on_change
        self._failed_at_s: deque[float] = deque(maxlen=failures)
        self._opened_at_s = 0.0
        self._is_probing = False
        self.state = BreakerState.CLOSED

    async def call(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Make a call through the breaker. Raises what it raises, ``RefusedError`` where it is not made."""
        self._admit()
        try:
            result = await work()
        except UnavailableError:
            self._failed()
            raise
        except asyncio.CancelledError:
            self._is_probing = False
            raise
        except BaseException:
            self._succeeded()
            raise
        self._succeeded()
        return result

    def _admit(self) -> None:
        if self.state is BreakerState.CLOSED:
            return
        left_s = self._opened_at_s + self._pause_s - self._monotonic_s()
        if self._is_probing or left_s > 0:
            raise RefusedError(self.dependency, "it failed moments ago", retry_after_s=max(left_s, 0.1))
        self._is_probing = True
        self._enter(BreakerState.HALF_OPEN)

    def _failed(self) -> None:
        now_s = self._monotonic_s()
        self._failed_at_s.append(now_s)
        enough = len(self._failed_at_s) == self._bound and now_s - self._failed_at_s[0] <= self._window_s
        if self._is_probing or enough:
            self._is_probing = False
            self._opened_at_s = now_s
            self._enter(BreakerState.OPEN)

    def _succeeded(self) -> None:
        if self.state is BreakerState.OPEN:
            return  # a call from before it opened
        self._is_probing = False
        self._failed_at_s.clear()
        self._enter(BreakerState.CLOSED)

    def _enter(self, state: BreakerState) -> None:
        if state is not self.state:
            self.state = state
            self._on_change(state)
