"""For how long the hot store has been there without a pause, and has been the same one.

Only then does silence mean anything: whoever is silent while nobody could have heard it is not dead. So time counts
from the moment at which this process first saw the store as it is now, and from anew after a restart, a failover, a
loss of its data, a time in which it did not answer, and a time in which this process stood still.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from everlog.ports.heartbeats import Heartbeats
from everlog.schemas.errors import UnavailableError

LOOK_PERIOD_S: Final = 1.0
GAP_S: Final = 5.0
"""Looks that are further apart prove nothing of the time between: five of them were missed."""
LOOK_TIMEOUT_S: Final = 2.0

log = logging.getLogger(__name__)


class Steadiness:
    """Watches the hot store. ``run`` it beside the requests."""

    def __init__(self, heartbeats: Heartbeats, monotonic_s: Callable[[], float]) -> None:
        self._heartbeats, self._monotonic_s = heartbeats, monotonic_s
        self._incarnation: str | None = None
        self._since_s = self._seen_s = float("-inf")

    async def steady_s(self) -> float:
        """For how long it has been the same, up to now. Raises ``UnavailableError`` while it does not answer."""
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                incarnation = await self._heartbeats.incarnation()
        except (UnavailableError, TimeoutError) as error:
            self._incarnation = None
            raise UnavailableError("the hot store", str(error) or "no answer in time") from error
        now_s = self._monotonic_s()
        if incarnation != self._incarnation or now_s - self._seen_s > GAP_S:
            self._incarnation, self._since_s = incarnation, now_s
        self._seen_s = now_s
        return now_s - self._since_s

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                await self.steady_s()
            except UnavailableError as error:
                log.debug("Leases cannot be told to have lapsed: %s", error)
            await asyncio.sleep(LOOK_PERIOD_S)
