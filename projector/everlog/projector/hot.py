"""The hot store as the projector uses it: allowed to be away, and never trusted after it may have lost writes.

Under a new hot epoch readers see nothing of the old keys, so what a failed write or a rolled back server left behind is
not served. A worker begins one when its own write failed, for it may have landed in part and the next one is not told
what of it, and when the store's incarnation is another than the one that the epoch began with. All others follow
within ``FOLLOW_S``, and each puts what it has in memory under the new epoch.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from everlog.ports.control import ControlStore, HotEpoch
from everlog.ports.hot import HotStore, HotWrite, Outcomes
from everlog.projector import metrics
from everlog.projector.retrying import Retries
from everlog.runtime.breaker import Breaker, RefusedError
from everlog.schemas.errors import UnavailableError

FOLLOW_S: Final = 1.0
"""How often the epoch and the incarnation are looked at, as often as gateways look at the epoch."""

_log = structlog.get_logger(__name__)


class HotSide:
    """The hot store of one generation, under the epoch in force: a failure there stops nobody."""

    def __init__(
        self,
        store: HotStore,
        epoch: HotEpoch,
        control: ControlStore,
        generation: int,
        mongodb: Retries,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """``epoch`` is the one in force, ``store`` may be of any; ``mongodb`` makes the calls of ``control``."""
        self._at_epoch, self._store = store.at_epoch, store.at_epoch(epoch.epoch)
        self._in_force = epoch
        self._control, self._generation, self._mongodb = control, generation, mongodb
        self._breaker = Breaker("redis", monotonic_s, on_change=metrics.breaker_state.labels("redis").set)
        self._is_away = False

    @property
    def epoch(self) -> int:
        """The hot epoch under which this worker writes."""
        return self._in_force.epoch

    async def follow(self) -> None:
        """Go on under the epoch in force; begin one if the store is no longer the one that it began with.

        A store that does not answer is nothing new: the next write finds out.
        """
        in_force = await self._mongodb(lambda: self._control.hot_epoch(self._generation))
        try:
            incarnation = await self._breaker.call(self._store.incarnation)
        except UnavailableError:
            incarnation = in_force.incarnation
        if incarnation != in_force.incarnation:
            _log.warning("hot store began anew, so does the hot epoch", generation=self._generation)
            in_force = await self._begin(in_force, incarnation)
        self._enter(in_force)

    async def begin_anew(self) -> None:
        """Begin a new hot epoch: something that should be hot is not known."""
        self._enter(await self._begin(self._in_force, self._in_force.incarnation))

    async def put(self, writes: Sequence[HotWrite], outcomes: Outcomes | None = None) -> bool:
        """Move sessions forward, then publish outcomes, if the store answers; whether it did."""

        async def work(store: HotStore) -> None:
            await store.put(writes)
            if outcomes is not None:
                await store.publish(outcomes)

        return await self._attempt(work)

    async def drop(self, keys: Sequence[str]) -> None:
        """Forget sessions, if the store answers."""
        await self._attempt(lambda store: store.drop(keys))

    async def publish(self, outcomes: Sequence[Outcomes]) -> None:
        """Publish outcomes, if the store answers."""

        async def each(store: HotStore) -> None:
            for one in outcomes:
                await store.publish(one)

        await self._attempt(each)

    async def _attempt(self, work: Callable[[HotStore], Awaitable[None]]) -> bool:
        store, epoch = self._store, self._in_force
        try:
            await self._breaker.call(lambda: work(store))
        except RefusedError:
            return False  # nothing was written since the failure that began this epoch
        except UnavailableError as error:
            metrics.hot_failures_total.inc()
            if not self._is_away:
                _log.warning("hot store failed, readers fall back to warm", error=str(error))
            self._is_away = True
            self._enter(await self._begin(epoch, epoch.incarnation))
            return False
        self._is_away = False
        return True

    async def _begin(self, before: HotEpoch, incarnation: str) -> HotEpoch:
        return await self._mongodb(lambda: self._control.begin_hot_epoch(self._generation, before.epoch, incarnation))

    def _enter(self, epoch: HotEpoch) -> None:
        if epoch.epoch != self._in_force.epoch:
            self._store = self._at_epoch(epoch.epoch)
        self._in_force = epoch
