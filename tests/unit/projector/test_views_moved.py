"""Views that are dropped or put back while a worker is at work leave no verdict and no version of another moment."""

from __future__ import annotations

import copy

import pytest

from everlog.ports.warm import SessionWrite
from everlog.projector.ports import ResumeError
from everlog.projector.projection import Projection
from support.conversations import PARTITION, Conversations, records_of, session_keys, truth_of
from support.world import World, assert_projected


def point_in_time(world: World) -> dict[str, object]:
    return copy.deepcopy({name: value for name, value in vars(world.warm).items() if isinstance(value, dict)})


def put_back(world: World, copied: dict[str, object]) -> None:
    vars(world.warm).update(copied)


async def begun(world: World) -> Conversations:
    talk = Conversations(world.log)
    await talk.begin()
    await world.project()
    return talk


async def first_batch(world: World, projection: Projection) -> None:
    end = (await world.log.bounds(PARTITION)).end
    start = projection.owned[PARTITION].watermark
    async for records in world.log.read(PARTITION, start, end):
        with pytest.raises(ResumeError):
            await projection.apply(PARTITION, records)


async def test_views_that_are_dropped_right_after_a_take_over_leave_no_wrong_verdict() -> None:
    world = await World().begin()
    empty = point_in_time(world)
    talk = await begun(world)
    await talk.go_on(10)
    projection = await world.projection()
    await projection.assigned([PARTITION])
    put_back(world, empty)
    await first_batch(world, projection)
    await world.follow(projection)
    await assert_projected(world, truth_of(await records_of(world.log)))


async def test_views_that_are_put_back_right_after_a_take_over_leave_no_wrong_version() -> None:
    world = await World().begin()
    talk = await begun(world)
    earlier = point_in_time(world)
    await talk.go_on(10)
    await world.project()
    await talk.go_on(10)
    projection = await world.projection()
    await projection.assigned([PARTITION])
    put_back(world, earlier)
    await first_batch(world, projection)
    await world.follow(projection)
    await assert_projected(world, truth_of(await records_of(world.log)))


async def test_a_document_that_came_into_a_view_just_as_it_was_put_back_is_made_anew() -> None:
    world = await World().begin()
    talk = await begun(world)
    earlier = point_in_time(world)
    late = session_keys(9)[-1]
    await talk.say(late, "too early: rejected, and no document remembers it")
    await world.project()
    await talk.create(late)
    await talk.say(late)
    await world.project()
    document = await world.stored(late)
    document.outcomes = []
    put_back(world, earlier)
    await world.warm.write_sessions([SessionWrite(document, None)])
    await world.follow(await world.projection())
    await assert_projected(world, truth_of(await records_of(world.log)))
