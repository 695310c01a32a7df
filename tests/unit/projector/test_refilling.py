"""After a change of the hot epoch every worker puts what it has in memory under the new one."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest

from everlog.adapters.memory.hot import MemoryHotStore
from everlog.adapters.memory.warm import MemoryWarmStore
from everlog.ports.hot import HotWrite
from everlog.projector.ports import ResumeError
from everlog.projector.projection import Projection
from everlog.projector.refilling import Refiller
from everlog.schemas.errors import UnavailableError
from support.conversations import PARTITION, Conversations, Truth, records_of, truth_of
from support.world import World, assert_projected


class FragileHotStore(MemoryHotStore):
    """A hot store that is replaced by another one, or takes nothing, when told so."""

    run_id, is_away = "run-1", False

    async def incarnation(self) -> str:
        return type(self).run_id

    async def put(self, writes: Sequence[HotWrite]) -> None:
        if type(self).is_away:
            raise UnavailableError("redis", "away")
        await super().put(writes)

    def at_epoch(self, epoch: int) -> FragileHotStore:
        other = FragileHotStore(epoch)
        other._held, other._subscribers = self._held, self._subscribers
        return other


class Told:
    """A world with a projection at the log's end, and what is true of its log."""

    def __init__(self, world: World, talks: Conversations, projection: Projection) -> None:
        self.world, self.talks, self.projection = world, talks, projection

    async def truth(self) -> Truth:
        return truth_of(await records_of(self.world.log))

    async def hot_keys(self) -> list[str]:
        return [document.key async for document in self.world.hot_documents(self.talks.keys)]


@pytest.fixture
async def told() -> Told:
    FragileHotStore.run_id, FragileHotStore.is_away = "run-1", False
    world = await World().begin()
    world.hot = FragileHotStore()
    talks = Conversations(world.log, sessions=6)
    await talks.begin()
    return Told(world, talks, await world.project())


async def test_a_rolled_back_store_is_not_served_and_every_cached_session_is_put_again(told: Told) -> None:
    refiller = Refiller(told.projection)
    await refiller.follow()
    epoch = told.projection.hot.epoch
    FragileHotStore.run_id = "run-2"
    await refiller.follow()
    assert told.projection.hot.epoch == epoch + 1
    assert await told.hot_keys() == told.talks.keys
    await assert_projected(told.world, await told.truth())
    FragileHotStore.is_away = True  # nothing is put a second time
    await refiller.follow()
    assert told.projection.hot.epoch == epoch + 1


async def test_a_worker_follows_the_epoch_that_another_one_began(told: Told) -> None:
    refiller = Refiller(told.projection)
    await refiller.follow()
    begun = await told.world.control.begin_hot_epoch(1, told.projection.hot.epoch, "run-1")
    assert await told.hot_keys() == []
    await refiller.follow()
    assert told.projection.hot.epoch == begun.epoch
    assert await told.hot_keys() == told.talks.keys


async def test_a_store_that_is_away_while_it_is_refilled_is_refilled_later(told: Told) -> None:
    refiller = Refiller(told.projection)
    FragileHotStore.run_id, FragileHotStore.is_away = "run-2", True
    await refiller.follow()
    assert await told.hot_keys() == []
    FragileHotStore.is_away = False
    await refiller.follow()
    assert await told.hot_keys() == told.talks.keys


async def test_a_view_that_was_put_back_to_an_earlier_time_is_noticed_without_a_new_record(told: Told) -> None:
    earlier = copy.deepcopy(told.world.warm)
    await told.projection.verify(PARTITION)
    await told.talks.say(told.talks.keys[0], "later")
    await told.world.follow(told.projection)
    await told.projection.verify(PARTITION)
    vars(told.world.warm).update(vars(earlier))
    with pytest.raises(ResumeError, match="is stored as"):
        await told.projection.verify(PARTITION)
    await told.world.follow(told.projection)
    await assert_projected(told.world, await told.truth())


async def test_an_emptied_view_is_noticed_without_a_new_record(told: Told) -> None:
    vars(told.world.warm).update(vars(MemoryWarmStore(now_ms=told.world.clock)))
    with pytest.raises(ResumeError, match="is stored as None"):
        await told.projection.verify(PARTITION)
    await told.world.follow(told.projection)
    await assert_projected(told.world, await told.truth())


async def test_a_partition_of_somebody_else_is_not_looked_at(told: Told) -> None:
    await told.projection.revoked([PARTITION])
    vars(told.world.warm).update(vars(MemoryWarmStore(now_ms=told.world.clock)))
    await told.projection.verify(PARTITION)
