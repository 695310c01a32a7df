"""The SDK's suite against the double, and what a test can do to it."""

from __future__ import annotations

import asyncio

import pytest

from everlog.client import Message, UnavailableError, text
from everlog.client.testing import MemoryEverlog
from support.sdk_contract import Gateway, SdkContract, said


class TestTheDouble(SdkContract):
    @pytest.fixture
    async def everlog(self) -> Gateway:
        return MemoryEverlog()


async def test_while_it_is_away_nothing_answers() -> None:
    world = MemoryEverlog()
    async with world.connect(call_timeout_s=0.2) as log:
        chat = await log.create("rome-42")
        world.is_away = True
        with pytest.raises(UnavailableError):
            await chat.append(said("x"))
        world.is_away = False
        assert (await chat.append(said("x"))).version == 2


async def test_a_lost_answer_is_asked_for_again_and_nothing_is_applied_twice() -> None:
    world = MemoryEverlog()
    async with world.connect() as log:
        chat = await log.create("rome-42")
        world.answers_to_lose = 2
        done = await chat.append(said("once"))
        assert (done.version, done.result) == (2, "duplicate")
        world.answers_to_lose = 1
        async with chat.join("planner", kind="agent") as me:
            await me.append(Message(role="assistant", parts=[text("Hello")]))
        assert [event.version async for event in chat.timeline()] == [1, 2, 3, 4, 5, 6]


async def test_withheld_verdicts_are_told_when_they_are_released() -> None:
    world = MemoryEverlog()
    async with world.connect() as log:
        chat = await log.create("rome-42")
        world.withhold_verdicts()
        done = await chat.append(said("x"))
        assert (done.result, done.version) == ("pending", None)
        with pytest.raises(UnavailableError):
            await done.outcome(timeout_s=0.05)
        world.release_verdicts()
        assert (await done.outcome()).version == 2


async def test_a_lease_that_lapses_may_be_taken_over_at_once() -> None:
    world = MemoryEverlog()
    async with world.connect() as log:
        chat = await log.create("rome-42")
        async with chat.join("planner", kind="agent", lease_ttl_s=30) as zombie:
            world.lapse("rome-42", "planner")
            async with chat.join("planner", kind="agent", lease_ttl_s=30) as me:
                assert (me.epoch or 0) > (zombie.epoch or 0)


async def test_clients_without_await_share_the_sessions() -> None:
    world = MemoryEverlog()
    async with world.connect() as log:
        await log.create("rome-42")

    def speak() -> int | None:
        with world.connect_sync() as log:
            return log.session("rome-42").append(said("from a thread")).version

    assert await asyncio.to_thread(speak) == 2
