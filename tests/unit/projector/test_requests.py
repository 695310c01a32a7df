"""Eviction and rehydration by the owner of a partition: only what is proved leaves, and what comes back is the same."""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

import msgspec
import pytest

from everlog.domain.stored import TimelineEntry
from everlog.ports.control import Request, RequestKind
from everlog.ports.warm import SessionWrite
from everlog.projector.projection import Projection
from everlog.schemas.errors import UnavailableError
from support.conversations import PARTITION, Conversations, Truth, records_of, session_keys, truth_of
from support.watched import CrashError, Watch, away, failing, silent, when
from support.world import World, assert_projected, digest

DEADLINE_S = 5
EVICTIONS: list[RequestKind] = ["evict_timeline", "evict_session"]


class Place(NamedTuple):
    """Four sessions of four entries each, projected and proved."""

    world: World
    talks: Conversations
    projection: Projection
    keys: list[str]

    async def truth(self) -> Truth:
        return truth_of(await records_of(self.world.log))

    async def warm_entries(self, key: str) -> list[TimelineEntry]:
        return await self.world.warm.timeline(key, 1, 100)

    async def go_on(self) -> None:
        """Each session says one thing more, which is projected and not proved."""
        for key in self.keys:
            await self.talks.say(key, "one more thing")
        await self.world.follow(self.projection)


async def let_others_go_first() -> None:
    """Whoever can go on does so, until it waits for something."""
    for _ in range(20):
        await asyncio.sleep(0)


async def settled() -> Place:
    world = await World().begin()
    talks = Conversations(world.log)
    await talks.begin()
    projection = await world.project()
    await world.seal()
    return Place(world, talks, projection, talks.keys)


@pytest.fixture
async def place() -> Place:
    return await settled()


async def test_timelines_that_are_proved_leave_and_states_stay(place: Place) -> None:
    request = await place.world.ask(place.projection, "evict_timeline", place.keys)
    assert (request.done, request.error) == (4, None)
    for key in place.keys:
        stored = await place.world.stored(key)
        assert (stored.timeline_from, stored.version) == (5, 4)
        assert await place.warm_entries(key) == []
        hot = await place.world.hot.get(key)
        assert hot is not None and hot.timeline_from == 5
    await place.go_on()
    await assert_projected(place.world, await place.truth())


async def test_the_newest_entries_stay_warm_when_asked_to(place: Place) -> None:
    request = await place.world.ask(place.projection, "evict_timeline", place.keys, keep_entries=3)
    assert request.done == 4
    assert [entry.version for entry in await place.warm_entries(place.keys[0])] == [2, 3, 4]
    request = await place.world.ask(place.projection, "evict_timeline", place.keys, keep_entries=3)
    assert request.done == 0
    request = await place.world.ask(place.projection, "evict_timeline", place.keys, keep_entries=100)
    assert request.done == 0
    await assert_projected(place.world, await place.truth())


async def test_of_an_active_session_only_the_proved_part_leaves(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everlog.projector.requests.PAGE_ENTRIES", 3)
    await place.go_on()
    await place.go_on()
    request = await place.world.ask(place.projection, "evict_timeline", place.keys, keep_entries=1)
    assert request.done == 4
    for key in place.keys:
        assert [entry.version for entry in await place.warm_entries(key)] == [5, 6]
        assert (await place.world.stored(key)).timeline_from == 5
    await assert_projected(place.world, await place.truth())


async def test_only_sessions_that_are_wholly_proved_leave(place: Place) -> None:
    await place.talks.say(place.keys[0], "still here")
    await place.world.follow(place.projection)
    request = await place.world.ask(place.projection, "evict_session", [*place.keys, "acme/unknown"])
    assert (request.done, request.error) == (3, None)
    active, *gone = [await place.world.stored(key) for key in place.keys]
    assert active.state is not None and active.stub is None
    truth = await place.truth()
    for stored in gone:
        assert stored.state is None and stored.stub is not None
        assert (stored.stub.version, stored.stub.status, stored.timeline_from) == (4, "active", 5)
        assert stored.stub.state_hash == truth.hashes[stored.key]
        assert await place.world.hot.get(stored.key) is None
        assert await place.warm_entries(stored.key) == []
    assert (await place.world.ask(place.projection, "evict_session", place.keys)).done == 0


async def test_sessions_come_back_as_they_were(place: Place) -> None:
    before = {key: await place.world.stored(key) for key in place.keys}
    await place.world.ask(place.projection, "evict_session", place.keys)
    request = await place.world.ask(place.projection, "rehydrate", [*place.keys, "acme/unknown"])
    assert (request.done, request.error) == (4, None)
    for key in place.keys:
        stored = await place.world.stored(key)
        assert stored.state == before[key].state and stored.stub is None
        assert (stored.offset, stored.outcomes) == (before[key].offset, before[key].outcomes)
        assert stored.revision == before[key].revision + 2
        assert stored.timeline_from == 5
        hot = await place.world.hot.get(key)
        assert hot is not None and hot.state == stored.state
    assert (await place.world.ask(place.projection, "rehydrate", place.keys)).done == 0
    await place.go_on()
    await assert_projected(place.world, await place.truth())


async def test_a_damaged_archive_fails_the_request_with_a_reason_and_the_stub_stays(place: Place) -> None:
    await place.world.ask(place.projection, "evict_session", place.keys)
    place.world.damage_segments()
    request = await place.world.ask(place.projection, "rehydrate", place.keys)
    assert request.done == 0
    assert request.error is not None and ".parquet" in request.error
    assert all([(await place.world.stored(key)).stub is not None for key in place.keys])


async def test_a_state_that_is_not_the_one_that_left_is_refused_and_the_others_come_back(place: Place) -> None:
    await place.world.ask(place.projection, "evict_session", place.keys)
    loaded = (await place.world.warm.load(place.keys))[place.keys[0]]
    assert loaded.stored.stub is not None
    loaded.stored.stub = msgspec.structs.replace(loaded.stored.stub, state_hash="00" * 32)
    loaded.stored.revision += 1
    await place.world.warm.write_sessions([SessionWrite(loaded.stored, loaded.base)])
    request = await place.world.ask(place.projection, "rehydrate", place.keys)
    assert request.error is not None and place.keys[0] in request.error
    stubs = [(await place.world.stored(key)).stub is not None for key in place.keys]
    assert stubs == [True, False, False, False]


async def evicted(kind: RequestKind, watch: Watch) -> tuple[Place, int]:
    """A place where a worker under watch carried an eviction out; and how many calls came before it."""
    place = await settled()
    projection = await place.world.projection(watch)
    await projection.assigned([PARTITION])
    begun = len(watch.calls)
    await place.world.control.submit(Request("r", 1, PARTITION, kind, place.keys, proved_offset=100))
    with contextlib.suppress(CrashError):
        await place.world.runner(projection, watch).run_once()
    return place, begun


@pytest.mark.parametrize("kind", EVICTIONS)
@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
async def test_a_crash_at_any_call_of_an_eviction_is_completed_by_the_next_worker(
    kind: RequestKind, after: bool
) -> None:
    calls = silent()
    place, begun = await evicted(kind, calls)
    await assert_evicted(place)
    assert {"load", "write_sessions", "delete_timeline", "finish"} <= set(calls.calls[begun:])
    for number in range(begun, len(calls.calls)):
        place, _ = await evicted(kind, failing(number, CrashError(), after=after))
        await place.world.runner(await place.world.project()).run_once()
        await assert_evicted(place)


async def assert_evicted(place: Place) -> None:
    assert await place.world.control.waiting(1, [PARTITION]) == []
    for key in place.keys:
        assert (await place.world.stored(key)).timeline_from == 5
    await assert_projected(place.world, await place.truth())


@pytest.mark.parametrize("kind", EVICTIONS)
async def test_an_event_that_comes_during_an_eviction_is_not_lost(kind: RequestKind) -> None:
    """The event is projected by another owner, before each call in turn."""
    calls = silent()
    _, begun = await evicted(kind, calls)
    for number in range(begun, len(calls.calls)):
        place = await settled()

        async def event(place: Place = place) -> None:
            await place.talks.say(place.keys[0], "wait!")
            await place.world.project()

        projection = await place.world.projection(when(number, event))
        await projection.assigned([PARTITION])
        await place.world.ask(projection, kind, place.keys)
        await place.world.redriver(await place.world.project()).bring_back()
        truth = await place.truth()
        await assert_projected(place.world, truth, pending=[len(truth.outcomes) - 1])


async def test_requests_for_partitions_that_are_not_owned_are_left_alone(place: Place) -> None:
    world = place.world
    request = Request("other", 1, 1, "evict_session", session_keys(1, partition=1), proved_offset=100)
    await world.control.submit(request)
    await world.control.submit(Request("other generation", 2, PARTITION, "evict_session", place.keys, 100))
    await world.runner(place.projection).run_once()
    assert await world.control.request("other") == request
    await place.projection.revoked([PARTITION])
    asked = await world.ask(place.projection, "evict_session", place.keys)
    assert asked.done is None


async def test_a_partition_that_is_taken_away_while_a_request_waits_for_its_batch_is_left_alone(place: Place) -> None:
    owned = place.projection.owned[PARTITION]
    async with owned.lock:
        asking = asyncio.create_task(place.world.ask(place.projection, "evict_session", place.keys))
        await let_others_go_first()
        await place.projection.revoked([PARTITION])
    assert (await asking).done is None
    assert (await place.world.stored(place.keys[0])).state is not None


async def test_a_request_waits_for_the_batch_that_runs(place: Place) -> None:
    watch = silent()
    projection = await place.world.projection(watch)
    await place.talks.go_on(5)
    asked: list[asyncio.Task[Request]] = []

    async def ask() -> None:
        asked.append(asyncio.create_task(place.world.ask(projection, "evict_timeline", place.keys)))
        await let_others_go_first()
        assert not asked[0].done()

    await projection.assigned([PARTITION])
    projection.warm = place.world.patient(when(1, ask))
    await projection.apply(PARTITION, (await records_of(place.world.log))[16:])
    assert (await asked[0]).done == 4
    await assert_projected(place.world, await place.truth())


async def test_a_store_that_is_away_fails_the_request_and_the_worker_goes_on(place: Place) -> None:
    names: set[str] = set()
    projection = await place.world.projection(away(names))
    await projection.assigned([PARTITION])
    names.add("write_sessions")
    request = await place.world.ask(projection, "evict_timeline", place.keys)
    assert request.error is not None and "unavailable" in request.error
    names.clear()
    await place.talks.go_on(5)
    await place.world.follow(projection)
    await assert_projected(place.world, await place.truth())


async def test_requests_are_looked_for_until_cancelled_and_while_the_control_store_is_away(place: Place) -> None:
    finished = asyncio.Event()
    looks: list[str] = []

    async def before(name: str) -> None:
        looks.append(name)
        if len(looks) == 1:
            raise UnavailableError("the control store", "no answer")

    async def after(name: str) -> None:
        if name == "finish":
            finished.set()

    await place.world.control.submit(Request("r", 1, PARTITION, "evict_timeline", place.keys, 100))
    running = asyncio.create_task(place.world.runner(place.projection, Watch(before, after)).run())
    await asyncio.wait_for(finished.wait(), DEADLINE_S)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    found = await place.world.control.request("r")
    assert found is not None and (found.done, found.error) == (4, None)


async def test_a_stub_whose_batch_comes_again_after_a_crash_keeps_the_outcomes_of_it() -> None:
    """Evicted between the crash after its document and the repetition of its batch."""
    place = await settled()
    await place.go_on()
    await place.world.seal()
    world = await World(place.world.log).begin()
    world.objects = place.world.objects
    projection = await world.projection()
    await projection.assigned([PARTITION])
    projection.warm = world.patient(away({"close_batch"}))
    records = await records_of(world.log)
    with pytest.raises(UnavailableError):
        await projection.apply(PARTITION, records)
    assert (await world.ask(projection, "evict_session", place.keys)).done == 4
    await world.project(batch=9)
    await assert_projected(world, await place.truth())
    assert digest(await world.stored(place.keys[0])) == (await place.truth()).hashes[place.keys[0]]
