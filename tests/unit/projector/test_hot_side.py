"""The hot store may be away: the projection goes on, and asks it once in a while."""

from __future__ import annotations

from collections.abc import Sequence

from everlog.adapters.memory.control import MemoryControlStore
from everlog.adapters.memory.hot import MemoryHotStore
from everlog.ports.hot import HotWrite, Outcomes
from everlog.ports.log import LogIdentity
from everlog.projector.stores import HotSide
from everlog.schemas.errors import UnavailableError


class AwayHotStore(MemoryHotStore):
    """A hot store that is away while told so; counts how often it was asked."""

    is_away = True
    asked = 0

    async def put(self, writes: Sequence[HotWrite]) -> None:
        type(self).asked += 1
        if type(self).is_away:
            raise UnavailableError("redis", "away")
        await super().put(writes)

    def at_epoch(self, epoch: int) -> AwayHotStore:
        return AwayHotStore(epoch)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def test_a_store_that_stays_away_is_asked_only_once_per_pause_and_used_again_when_it_is_back() -> None:
    control, clock = MemoryControlStore(), Clock()
    await control.initialise(LogIdentity("c", "t", 0, 1))
    AwayHotStore.is_away, AwayHotStore.asked = True, 0
    hot = HotSide(AwayHotStore(1), control, 1, clock)
    for _ in range(20):
        await hot.put([], Outcomes(0, 0, 0, []))
    assert AwayHotStore.asked == 3
    clock.now_s += 2
    await hot.put([], None)
    assert AwayHotStore.asked == 4
    AwayHotStore.is_away = False
    clock.now_s += 2
    for _ in range(5):
        await hot.put([], None)
    assert AwayHotStore.asked == 9
    assert (await control.live()).hot_epoch == 5


async def test_outcomes_are_published_one_by_one_in_their_order() -> None:
    control, store = MemoryControlStore(), MemoryHotStore(1)
    await control.initialise(LogIdentity("c", "t", 0, 1))
    told = [Outcomes(0, 0, offset, [offset]) for offset in range(3)]
    async with store.subscribe() as outcomes:
        await HotSide(store, control, 1).publish(told)
        assert [await anext(aiter(outcomes)) for _ in told] == told
