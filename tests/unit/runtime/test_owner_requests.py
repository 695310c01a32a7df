"""Asking the owners of partitions: one request per partition and 500 sessions, and an answer within the deadline."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from everlog.archiver.eviction import idle_sessions
from everlog.domain.record import partition_of
from everlog.ports.control import REQUEST_SESSIONS
from everlog.runtime.owner_requests import Requests
from everlog.schemas.errors import EverlogError, UnavailableError
from support.conversations import PARTITION, PARTITIONS, Conversations
from support.world import World


@pytest.fixture
async def world() -> World:
    return await World().begin()


def requests(world: World) -> Requests:
    numbers = itertools.count(1)
    return Requests(world.identity, world.control, 1, lambda: f"id-{next(numbers)}")


async def owners(world: World, error: str | None = None) -> None:
    """Owners of all partitions that finish whatever they are asked for."""
    while True:
        for request in await world.control.waiting(1, range(PARTITIONS)):
            await world.control.finish(request.id, 0 if error else len(request.sessions), error)
        await asyncio.sleep(0)


async def test_sessions_are_asked_of_the_owners_of_their_partitions(world: World) -> None:
    keys = [f"acme/s{number}" for number in range(2 * REQUEST_SESSIONS + 300)]
    proved = {0: 7, 1: 9}
    asking = asyncio.create_task(requests(world).carry_out("evict_timeline", keys, proved=proved, keep_entries=3))
    for _ in range(10):  # it submits them all, then waits
        await asyncio.sleep(0)
    waiting = await world.control.waiting(1, range(PARTITIONS))
    assert len(waiting) == 4
    assert sorted(key for request in waiting for key in request.sessions) == sorted(keys)
    for request in waiting:
        assert len(request.sessions) <= REQUEST_SESSIONS
        assert (request.proved_offset, request.keep_entries) == (proved[request.partition], 3)
        assert {partition_of(key.encode(), PARTITIONS) for key in request.sessions} == {request.partition}
        await world.control.finish(request.id, 1, None)
    assert await asking == len(waiting)
    assert [await world.control.request(request.id) for request in waiting] == [None] * len(waiting)


async def test_a_request_that_nobody_carries_out_is_unavailable_at_the_deadline(world: World) -> None:
    with pytest.raises(UnavailableError, match="rehydrate is still waiting") as raised:
        await requests(world).carry_out("rehydrate", ["acme/a"], deadline_s=0.01)
    assert "everlog projector" in raised.value.hint
    assert len(await world.control.waiting(1, range(PARTITIONS))) == 1, "the owner may still do it"


async def test_what_an_owner_could_not_do_is_an_error_with_its_reason(world: World) -> None:
    serving = asyncio.create_task(owners(world, error="the object is damaged"))
    with pytest.raises(EverlogError, match="the object is damaged"):
        await requests(world).carry_out("rehydrate", ["acme/a"])
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_nothing_to_do_is_done_at_once(world: World) -> None:
    assert await requests(world).carry_out("rehydrate", []) == 0


async def test_only_sessions_that_are_wholly_proved_are_idle(world: World) -> None:
    talks = Conversations(world.log)
    await talks.begin()
    projection = await world.project()
    await world.seal()
    await talks.say(talks.keys[0], "not proved yet")
    await world.follow(projection)
    world.now_ms += 1_000
    proved = {PARTITION: await world.proved_offset()}
    assert [key async for key in idle_sessions(world.warm, proved, world.now_ms)] == talks.keys[1:]
    assert [key async for key in idle_sessions(world.warm, {}, world.now_ms)] == []
    assert [key async for key in idle_sessions(world.warm, proved, world.now_ms - 1_000)] == []
