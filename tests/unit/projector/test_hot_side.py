"""The hot store may be away: the projection goes on, and asks it once in a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from everlog.adapters.memory.control import MemoryControlStore
from everlog.adapters.memory.hot import MemoryHotStore
from everlog.ports.hot import HotWrite, Outcomes
from everlog.ports.log import LogIdentity
from everlog.projector.hot import HotSide
from everlog.projector.retrying import Retries
from everlog.schemas.errors import UnavailableError


class AwayHotStore(MemoryHotStore):
    """A hot store that is away while told so; counts how often it was asked."""

    is_away = True
    asked = 0

    async def put(self, writes: Sequence[HotWrite]) -> None:
        type(self).asked += 1
        await asyncio.sleep(0)  # as a real store does: others go on meanwhile
        if type(self).is_away:
            raise UnavailableError("redis", "away")
        await super().put(writes)

    def at_epoch(self, epoch: int) -> AwayHotStore:
        return AwayHotStore(epoch)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def side(
    store: MemoryHotStore, control: MemoryControlStore | None = None, clock: Clock | None = None
) -> tuple[HotSide, MemoryControlStore]:
    """The hot side of a worker, at the epoch in force."""
    if control is None:
        control = MemoryControlStore()
        await control.initialise(LogIdentity("c", "t", 0, 1))
    hot = HotSide(store, await control.hot_epoch(1), control, 1, Retries("mongodb"), clock or Clock())
    return hot, control


async def test_a_store_that_stays_away_is_asked_only_once_per_pause_and_used_again_when_it_is_back() -> None:
    clock = Clock()
    AwayHotStore.is_away, AwayHotStore.asked = True, 0
    hot, control = await side(AwayHotStore(1), clock=clock)
    for _ in range(20):
        assert not await hot.put([], Outcomes(0, 0, 0, []))
    assert AwayHotStore.asked == 3
    clock.now_s += 2
    await hot.put([], None)
    assert AwayHotStore.asked == 4
    AwayHotStore.is_away = False
    clock.now_s += 2
    for _ in range(5):
        assert await hot.put([], None)
    assert AwayHotStore.asked == 9
    assert (await control.live()).hot_epoch == hot.epoch == 5


async def test_outcomes_are_published_one_by_one_in_their_order() -> None:
    store = MemoryHotStore(1)
    hot, _ = await side(store)
    told = [Outcomes(0, 0, offset, [offset]) for offset in range(3)]
    async with store.subscribe() as outcomes:
        await hot.publish(told)
        assert [await anext(aiter(outcomes)) for _ in told] == told


class RestartedHotStore(MemoryHotStore):
    """A hot store whose server can be replaced by another one; all of them share what it holds."""

    run_id = "run-1"

    async def incarnation(self) -> str:
        return type(self).run_id

    def at_epoch(self, epoch: int) -> RestartedHotStore:
        other = RestartedHotStore(epoch)
        other._held = self._held
        return other


async def test_a_server_that_began_anew_begins_one_hot_epoch_and_every_worker_follows() -> None:
    RestartedHotStore.run_id = "run-1"
    store = RestartedHotStore()
    hot, control = await side(store)
    other, _ = await side(store, control)
    for one in (hot, other, hot):
        await one.follow()
    assert hot.epoch == other.epoch == 2, "of the first server nothing was known"
    RestartedHotStore.run_id = "run-2"
    await other.follow()
    await hot.follow()
    assert hot.epoch == other.epoch == (await control.live()).hot_epoch == 3
    await hot.follow()
    assert hot.epoch == 3


async def test_two_writes_that_fail_under_one_epoch_begin_one_new_one() -> None:
    AwayHotStore.is_away, AwayHotStore.asked = True, 0
    hot, control = await side(AwayHotStore(1))
    await asyncio.gather(hot.put([]), hot.put([]))
    assert hot.epoch == (await control.live()).hot_epoch == 2
