"""Whether this process should get requests: its dependencies, and whether it is about to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from everlog.gateway.verdicts import OutcomeWaiter
from everlog.ports.control import ControlStore
from everlog.ports.log import LogReader
from everlog.schemas.errors import EverlogError

CHECK_TIMEOUT_S: Final = 2.0
CHECKED_FOR_S: Final = 1.0
"""An answer is given again for so long: whoever asks needs no token, and must not load the dependencies."""


class Health:
    """Checks dependencies, at most once a second."""

    def __init__(
        self, *, log: LogReader, control: ControlStore, waiter: OutcomeWaiter, monotonic_s: Callable[[], float]
    ) -> None:
        self._log, self._control, self._waiter, self._monotonic_s = log, control, waiter, monotonic_s
        self._checks: Mapping[str, bool] = {}
        self._checked_at_s = float("-inf")
        self._checking = asyncio.Lock()
        self.is_draining = False
        """About to end: no new requests, please."""
        self.is_broken = False
        """The background work has failed: this process must be replaced."""

    async def checks(self) -> Mapping[str, bool]:
        """Which dependencies answer."""
        async with self._checking:
            if self._monotonic_s() - self._checked_at_s > CHECKED_FOR_S:
                kafka, mongo = await asyncio.gather(_answers(self._log.bounds(0)), _answers(self._control.live()))
                self._checks = {"kafka": kafka, "mongo": mongo, "redis": self._waiter.is_following}
                self._checked_at_s = self._monotonic_s()
        return {**self._checks, "background": not self.is_broken}

    def is_ready(self, checks: Mapping[str, bool]) -> bool:
        """Whether requests should come here: without Kafka, or one of the stores, reads still go on."""
        return not self.is_draining and checks["background"] and (checks["mongo"] or checks["redis"])


async def _answers(call: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await call
    except (EverlogError, TimeoutError):
        return False
    return True
