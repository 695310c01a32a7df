"""The stores as the projector uses them: retried in place, and the hot one allowed to be away."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import stamina
import structlog

from everlog.ports.control import ControlStore
from everlog.ports.hot import HotStore, HotWrite, Outcomes
from everlog.projector import metrics
from everlog.runtime.breaker import Breaker, RefusedError
from everlog.schemas.errors import UnavailableError

RETRY_TIMEOUT_S: Final = 30.0
"""A store that is away longer ends the worker; well under the 300 s after which the group gives a partition away."""
RETRY_WAIT_MAX_S: Final = 2.0

_log = structlog.get_logger(__name__)
Result = TypeVar("Result")


async def retried(call: Callable[[], Awaitable[Result]]) -> Result:
    """Make a call again and again, with exponential backoff and jitter, while its store is unavailable.

    Raises ``UnavailableError`` after ``RETRY_TIMEOUT_S``.
    """
    async for attempt in stamina.retry_context(
        on=UnavailableError, attempts=None, timeout=RETRY_TIMEOUT_S, wait_max=RETRY_WAIT_MAX_S
    ):
        with attempt:
            return await call()
    raise AssertionError("unreachable: the context returns or raises")


class HotSide:
    """The hot store of one generation: a failure there stops nobody, but begins a new hot epoch.

    Under a new epoch readers see nothing of the old keys, so what a failed write left behind is not served. Each
    failure begins one: a write that failed may have landed in part, and the next one is not told what of it.
    """

    def __init__(
        self,
        store: HotStore,
        control: ControlStore,
        generation: int,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._control, self._generation = store, control, generation
        self._breaker = Breaker("redis", monotonic_s, on_change=metrics.breaker_state.labels("redis").set)
        self._away = False

    async def put(self, writes: Sequence[HotWrite], outcomes: Outcomes | None = None) -> None:
        """Move sessions forward, then publish outcomes, if the store answers."""
        await self._attempt(lambda store: self._put(store, writes, outcomes))

    async def drop(self, keys: Sequence[str]) -> None:
        """Forget sessions, if the store answers."""
        await self._attempt(lambda store: store.drop(keys))

    async def publish(self, outcomes: Sequence[Outcomes]) -> None:
        """Publish outcomes, if the store answers."""

        async def each(store: HotStore) -> None:
            for one in outcomes:
                await store.publish(one)

        await self._attempt(each)

    async def _put(self, store: HotStore, writes: Sequence[HotWrite], outcomes: Outcomes | None) -> None:
        await store.put(writes)
        if outcomes is not None:
            await store.publish(outcomes)

    async def _attempt(self, work: Callable[[HotStore], Awaitable[None]]) -> None:
        try:
            await self._breaker.call(lambda: work(self._store))
        except RefusedError:
            pass  # nothing was written since the failure that began this epoch
        except UnavailableError as error:
            metrics.hot_failures_total.inc()
            if not self._away:
                _log.warning("hot store failed, readers fall back to warm", error=str(error))
            self._away = True
            epoch = await retried(lambda: self._control.raise_hot_epoch(self._generation))
            self._store = self._store.at_epoch(epoch)
        else:
            self._away = False
