"""Waiting for verdicts while the channel loses messages, breaks, or belongs to another generation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from everlog.adapters.memory.hot import MemoryHotStore
from everlog.domain.record import Position
from everlog.gateway.live import LivePointer, Tiers
from everlog.gateway.verdicts import OutcomeWaiter
from everlog.ports.control import Live
from everlog.ports.hot import Outcomes
from everlog.ports.warm import ClosedBatch
from everlog.schemas.errors import UnavailableError
from support.door import IDENTITY, World
from support.waiting import until

TIMEOUT_S = 3.0


class Breaking(MemoryHotStore):
    """A hot store whose channel breaks on command, and refuses some subscriptions after it."""

    def __init__(self) -> None:
        super().__init__(1)
        self.broken = asyncio.Event()
        self.refusals = 0
        self.subscriptions = 0

    def subscribe(self):  # type: ignore[no-untyped-def]
        return self._breaking()

    @asynccontextmanager
    async def _breaking(self) -> AsyncIterator[AsyncIterator[Outcomes]]:
        if self.refusals:
            self.refusals -= 1
            raise UnavailableError("Redis", "away")
        self.subscriptions += 1
        async with super().subscribe() as outcomes:
            yield self._until_broken(outcomes)

    async def _until_broken(self, outcomes: AsyncIterator[Outcomes]) -> AsyncIterator[Outcomes]:
        while True:
            following = asyncio.ensure_future(anext(outcomes))
            breaking = asyncio.create_task(self.broken.wait())
            try:
                await asyncio.wait({following, breaking}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    self.broken.clear()
                    raise UnavailableError("Redis", "the connection broke")
                yield following.result()
            finally:
                following.cancel()
                breaking.cancel()
                await asyncio.gather(following, breaking, return_exceptions=True)


@asynccontextmanager
async def waiting(world: World, hot: MemoryHotStore) -> AsyncIterator[OutcomeWaiter]:
    await world.control.initialise(IDENTITY)
    await world.warm.begin(0, 0, 0)
    pointer = LivePointer(world.control, lambda live: Tiers(hot.at_epoch(live.hot_epoch), world.warm), time.monotonic)
    if isinstance(hot, Breaking):
        pointer = LivePointer(world.control, lambda live: Tiers(hot, world.warm), time.monotonic)
    waiter = OutcomeWaiter(pointer, time.monotonic)
    tasks = [asyncio.create_task(waiter.run()), asyncio.create_task(pointer.watch())]
    try:
        yield waiter
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def world() -> World:
    return World()


async def test_an_outcome_is_found_whether_it_comes_before_or_after_the_question(world: World) -> None:
    async with waiting(world, world.hot) as waiter:
        await until(lambda: waiter.is_following, timeout_s=TIMEOUT_S, what="no subscription")
        early = asyncio.create_task(waiter.wait(Position(0, 0, 7), TIMEOUT_S))
        await asyncio.sleep(0)
        await world.hot.publish(Outcomes(0, 0, 5, [5, 6, 7, 8]))
        assert await early == 7
        assert await waiter.wait(Position(0, 0, 5), TIMEOUT_S) == 5
        await world.hot.publish(Outcomes(0, 0, 9, [9]))
        await world.hot.publish(Outcomes(0, 1, 5, [55]))
        await until(lambda: (0, 1) in waiter._partitions, timeout_s=TIMEOUT_S, what="not received")
        assert await waiter.wait(Position(0, 0, 8), TIMEOUT_S) == 8
        assert await waiter.wait(Position(0, 1, 5), TIMEOUT_S) == 55


async def test_a_question_without_an_answer_ends_at_its_deadline_and_leaves_nothing(world: World) -> None:
    async with waiting(world, world.hot) as waiter:
        assert await waiter.wait(Position(0, 0, 7), 0.02) is None
        assert not waiter._partitions[0, 0].waiting


async def test_a_lost_message_is_asked_for_in_the_warm_store(world: World) -> None:
    async with waiting(world, world.hot) as waiter:
        await until(lambda: waiter.is_following, timeout_s=TIMEOUT_S, what="no subscription")
        asked = asyncio.create_task(waiter.wait(Position(0, 0, 1), TIMEOUT_S))
        await world.warm.close_batch(ClosedBatch(0, 0, 0, 2, [10, 11]))
        assert await asked == 11


async def test_a_broken_channel_is_subscribed_to_again_and_the_warm_store_fills_the_gap(world: World) -> None:
    hot = Breaking()
    async with waiting(world, hot) as waiter:
        await until(lambda: waiter.is_following, timeout_s=TIMEOUT_S, what="no subscription")
        hot.refusals = 2
        hot.broken.set()
        await until(lambda: not waiter.is_following, timeout_s=TIMEOUT_S, what="the break was not seen")
        asked = asyncio.create_task(waiter.wait(Position(0, 0, 0), TIMEOUT_S))
        await world.warm.close_batch(ClosedBatch(0, 0, 0, 1, [10]))
        assert await asked == 10
        await until(
            lambda: hot.subscriptions == 2 and waiter.is_following, timeout_s=TIMEOUT_S, what="not subscribed again"
        )
        later = asyncio.create_task(waiter.wait(Position(0, 0, 1), TIMEOUT_S))
        await asyncio.sleep(0)
        await hot.publish(Outcomes(0, 0, 1, [11]))
        assert await later == 11


class Switching:
    """A control store whose live pointer moves, or that is away."""

    def __init__(self) -> None:
        self.now, self.is_away = Live(1, 1), False

    async def live(self) -> Live:
        if self.is_away:
            raise UnavailableError("MongoDB", "away")
        return self.now


async def test_the_last_pointer_serves_while_the_control_store_is_away_and_a_swap_is_followed(world: World) -> None:
    control, opened, now_s = Switching(), [], 0.0

    def open_tiers(live: Live) -> Tiers:
        opened.append(live)
        return Tiers(world.hot, world.warm)

    pointer = LivePointer(control, open_tiers, lambda: now_s)  # type: ignore[arg-type]
    first = await pointer.tiers()
    control.now = Live(2, 1)
    now_s = 0.9
    assert await pointer.tiers() is first
    control.is_away, now_s = True, 2.0
    assert await pointer.tiers() is first
    control.is_away = False
    watching = asyncio.create_task(pointer.watch())
    await asyncio.wait_for(pointer.changed(first), TIMEOUT_S)
    watching.cancel()
    assert await pointer.tiers() is not first
    assert opened == [Live(1, 1), Live(2, 1)]


async def test_without_any_pointer_yet_nothing_can_be_read() -> None:
    control = Switching()
    control.is_away = True
    pointer = LivePointer(control, lambda live: pytest.fail("opened"), time.monotonic)  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        await pointer.tiers()
