"""One bad event stops its session and no other; after a redrive everything is as if it had never been bad."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from everlog.adapters.memory.warm import MemoryWarmStore
from everlog.domain.stored import COLD
from everlog.domain.verdicts import PENDING
from everlog.ports.hot import Outcomes
from everlog.ports.warm import SessionWrite
from everlog.projector import redriving
from everlog.projector.hot import HotSide
from everlog.projector.projection import Projection
from everlog.projector.redriving import CONCURRENT_RETURNS
from everlog.projector.retrying import Retries
from everlog.replay import history
from everlog.schemas.errors import IntegrityError, UnavailableError
from support.conversations import PARTITION, Conversations, Truth, records_of, session_keys, truth_of
from support.events import value
from support.poison import SECRET, Poison
from support.waiting import until
from support.watched import CrashError, Watch, failing, silent, when
from support.world import BATCH, World, assert_projected

DEADLINE_S = 5


class Ill:
    """A world of four sessions, the first of which gets an event that makes the fold raise, and goes on."""

    def __init__(self, world: World, talks: Conversations, poison: Poison) -> None:
        self.world, self.talks, self.poison = world, talks, poison
        self.key, self.bad_offset = talks.keys[0], 0

    async def again(self) -> World:
        """Another world that follows the same log."""
        return await World(self.world.log).begin()

    async def truth(self) -> Truth:
        """What the log comes to when the fold is right."""
        works, self.poison.works = self.poison.works, False
        truth = truth_of(await records_of(self.world.log))
        self.poison.works = works
        return truth

    async def pending(self) -> list[int]:
        """Offsets of the ill session from the bad event on."""
        log = await records_of(self.world.log)
        return [one.offset for one in log if one.key == self.key.encode() and one.offset >= self.bad_offset]

    async def redrive(self, projection: Projection) -> int | None:
        """Ask for a redrive and let the worker carry it out."""
        return (await self.world.ask(projection, "redrive", [self.key])).done


@pytest.fixture
async def ill(monkeypatch: pytest.MonkeyPatch) -> Ill:
    world = await World().begin()
    talks = Conversations(world.log)
    ill = Ill(world, talks, Poison(monkeypatch))
    await talks.begin()
    ill.bad_offset = (await world.log.bounds(PARTITION)).end
    await talks.say(ill.key, "bad", id="poison-1")
    for key in talks.keys * 2:
        await talks.say(key, "after it")
    return ill


async def assert_parked(world: World, ill: Ill) -> None:
    """The ill session waits at its last good state, every other one is current."""
    truth, pending = await ill.truth(), await ill.pending()
    stored = await world.stored(ill.key)
    assert stored.parked is not None and stored.state is not None
    assert (stored.parked.offset, stored.parked.seen) == (ill.bad_offset, pending[-1])
    assert (stored.parked.reason, stored.version) == ("ZeroDivisionError", 4)
    assert {key: parked async for key, parked in world.warm.parked(PARTITION)} == {ill.key: stored.parked}
    end = (await world.log.bounds(PARTITION)).end
    assert await world.warm.watermark(0, PARTITION) == end
    for at in range(end):
        assert await world.warm.outcome(0, PARTITION, at) == (PENDING if at in pending else truth.outcomes[at])
    healthy = truth._replace(hashes={key: value for key, value in truth.hashes.items() if key != ill.key})
    for key in healthy.hashes:
        assert (await world.stored(key)).version == len(truth.entries[key])
    hot = await world.hot.get(ill.key)
    assert hot is None or hot == stored


@pytest.mark.parametrize("cached_sessions", [1, 100])
@pytest.mark.parametrize("batch", [1, 3, BATCH, 100])
async def test_one_session_is_parked_and_every_other_one_is_current(ill: Ill, batch: int, cached_sessions: int) -> None:
    projection = await ill.world.projection(cached_sessions=cached_sessions)
    await ill.world.follow(projection, batch=batch)
    await assert_parked(ill.world, ill)
    ill.poison.cure()
    assert await ill.redrive(projection) == 1
    await assert_projected(ill.world, await ill.truth(), pending=await ill.pending())


async def test_the_log_line_names_place_and_type_and_no_content(ill: Ill) -> None:
    with capture_logs() as lines:
        await ill.world.project(batch=3)
    (line,) = [line for line in lines if line["event"] == "session parked"]
    assert (line["log_level"], line["session"], line["partition"]) == ("error", ill.key, PARTITION)
    assert (line["offset"], line["reason"], line["version"]) == (ill.bad_offset, "ZeroDivisionError", 4)
    assert SECRET not in str(lines)


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
async def test_a_crash_at_any_call_while_it_is_parked_is_completed_by_the_next_worker(ill: Ill, after: bool) -> None:
    watch, world = silent(), await ill.again()
    await world.follow(await world.projection(watch), batch=BATCH)
    for number, call in enumerate(watch.calls):
        world = await ill.again()
        with pytest.raises(CrashError):
            await world.follow(await world.projection(failing(number, CrashError(call), after=after)), batch=BATCH)
        ill.poison.works = True
        await world.project(batch=4)
        await assert_parked(world, ill)
        ill.poison.cure()
        assert await Ill(world, ill.talks, ill.poison).redrive(await world.project()) == 1
        await assert_projected(world, await ill.truth(), pending=await ill.pending())
        ill.poison.works = True


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
async def test_a_crash_at_any_call_of_a_redrive_is_completed_by_the_next_worker(ill: Ill, after: bool) -> None:
    async def parked_under(watch: Watch) -> tuple[World, Projection]:
        """A world whose ill session is parked and cured, and an owner whose calls are watched from now on."""
        ill.poison.works = True
        world = await ill.again()
        await world.project()
        ill.poison.cure()
        projection = await world.projection()
        await projection.assigned([PARTITION])
        epoch, mongodb = await world.control.hot_epoch(1), Retries("mongodb")
        projection.warm = world.patient(watch)
        projection.hot = HotSide(watch.over(world.hot), epoch, world.control, 1, mongodb)
        return world, projection

    seen = silent()
    world, projection = await parked_under(seen)
    assert await world.redriver(projection).redrive(projection.owned[PARTITION], ill.key)
    assert {"load", "insert_timeline", "write_sessions", "put", "publish"} <= set(seen.calls)
    for number, call in enumerate(seen.calls):
        world, projection = await parked_under(failing(number, CrashError(call), after=after))
        with pytest.raises(CrashError):
            await world.redriver(projection).redrive(projection.owned[PARTITION], ill.key)
        following = await world.project()
        await world.redriver(following).redrive(following.owned[PARTITION], ill.key)
        await assert_projected(world, await ill.truth(), pending=await ill.pending())


async def test_a_batch_that_comes_again_after_a_redrive_finds_its_outcomes(ill: Ill) -> None:
    """The owner crashes between its documents and its watermark; the next one is asked to redrive first."""
    world = ill.world
    projection = await world.projection()
    await projection.assigned([PARTITION])
    calls = 4  # load, watermark, load afresh, entries, documents
    projection.warm = world.patient(failing(calls, CrashError(), after=True))
    with pytest.raises(CrashError):
        await projection.apply(PARTITION, await records_of(world.log))
    ill.poison.cure()
    following = await world.projection()
    assert await following.assigned([PARTITION]) == {PARTITION: 0}
    assert list(following.owned[PARTITION].parked) == [ill.key]
    assert await ill.redrive(following) == 1
    await world.follow(following, batch=5)
    await assert_projected(world, await ill.truth())


async def test_a_restart_finds_what_is_parked_and_goes_on_passing_over(ill: Ill) -> None:
    await ill.world.project()
    await ill.talks.say(ill.key, "is anybody there?")
    projection = await ill.world.project()
    await assert_parked(ill.world, ill)
    assert list(projection.owned[PARTITION].parked) == [ill.key]


async def test_a_redrive_before_the_cure_changes_nothing(ill: Ill) -> None:
    projection = await ill.world.project()
    before = await ill.world.stored(ill.key)
    assert await ill.redrive(projection) == 0
    assert await ill.world.stored(ill.key) == before
    await assert_parked(ill.world, ill)


async def test_a_redrive_of_what_is_not_parked_or_not_there_changes_nothing(ill: Ill) -> None:
    projection = await ill.world.project()
    request = await ill.world.ask(projection, "redrive", [ill.talks.keys[1], "acme/never-heard-of"])
    assert (request.done, request.error) == (0, None)


async def test_a_redrive_that_meets_a_bug_fails_its_request_and_holds_up_no_other_session(ill: Ill) -> None:
    other = ill.talks.keys[1]
    await ill.talks.say(other, "bad", id="poison-2")
    projection = await ill.world.project()
    ill.poison.cure()
    projection.history = ill.world.history(failing(0, KeyError(SECRET), after=False))
    request = await ill.world.ask(projection, "redrive", [ill.key, other])
    assert request.error is not None and "KeyError" in request.error and SECRET not in request.error
    parked = {key async for key, _ in ill.world.warm.parked(PARTITION)}
    assert len(parked) == 1
    request = await ill.world.ask(projection, "redrive", [ill.key, other])
    assert (request.done, request.error) == (1, None)


async def test_events_that_come_while_a_redrive_reads_are_redriven_too(ill: Ill) -> None:
    projection = await ill.world.project()
    ill.poison.cure()

    async def say_more() -> None:
        for key in ill.talks.keys:
            await ill.talks.say(key, "meanwhile")
        end = (await ill.world.log.bounds(PARTITION)).end
        owned = projection.owned[PARTITION]
        await projection.apply(PARTITION, (await records_of(ill.world.log))[owned.watermark : end])

    projection.history = ill.world.history(when(0, say_more))
    assert await ill.redrive(projection) == 1
    await assert_projected(ill.world, await ill.truth(), pending=await ill.pending())


async def test_what_was_passed_over_and_trimmed_is_read_from_the_archive(ill: Ill) -> None:
    projection = await ill.world.project()
    await ill.world.seal_and_trim(segment_events=4)
    assert (await ill.world.log.bounds(PARTITION)).start > ill.bad_offset
    ill.poison.cure()
    assert await ill.redrive(projection) == 1
    stored = await ill.world.stored(ill.key)
    assert stored.parked is None and stored.version == 7


@pytest.mark.parametrize("records", [1, 2, 3])
async def test_a_redrive_in_parts_comes_to_the_same_and_publishes_the_same(
    ill: Ill, records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redriving, "PART_RECORDS", records)
    for text in ("one", "two", "three"):
        await ill.talks.say(ill.key, text)
    projection = await ill.world.project()
    ill.poison.cure()
    truth = await ill.truth()
    async with ill.world.hot.subscribe() as outcomes:
        assert await ill.redrive(projection) == 1
        for offset in await ill.pending():
            assert await anext(aiter(outcomes)) == Outcomes(0, PARTITION, offset, [truth.outcomes[offset]])
    await assert_projected(ill.world, truth, pending=await ill.pending())


async def test_a_redrive_in_parts_that_fails_between_them_keeps_what_was_folded(
    ill: Ill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redriving, "PART_RECORDS", 1)
    projection = await ill.world.project()
    ill.poison.cure()
    watch = failing(3, IntegrityError("a hole in the log"), after=False)
    projection.history = ill.world.history(watch)
    request = await ill.world.ask(projection, "redrive", [ill.key])
    assert request.error is not None
    stored = await ill.world.stored(ill.key)
    assert stored.parked is not None and stored.parked.offset > ill.bad_offset and stored.version == 5
    assert await ill.redrive(projection) == 1
    await assert_projected(ill.world, await ill.truth(), pending=await ill.pending())


@pytest.mark.parametrize("batch", [1, 4, 100])
async def test_a_view_that_is_rebuilt_parks_the_session_at_the_same_event_again(
    ill: Ill, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rebuild folds archive and log from offset 0, in other batches, under the same bug."""
    monkeypatch.setattr(history, "CHUNK_RECORDS", batch)
    await ill.world.project(batch=3)
    parked = (await ill.world.stored(ill.key)).parked
    await ill.world.seal_and_trim(segment_events=4)
    assert (await ill.world.log.bounds(PARTITION)).start > ill.bad_offset
    ill.world.warm = MemoryWarmStore(now_ms=ill.world.clock)
    projection = await ill.world.projection()
    await ill.world.follow(projection, batch=batch)
    assert (await ill.world.stored(ill.key)).parked == parked
    assert list(projection.owned[PARTITION].parked) == [ill.key]
    ill.poison.cure()
    assert await ill.redrive(projection) == 1
    assert (await ill.world.stored(ill.key)).version == 7


async def test_outcomes_of_a_redrive_are_published_one_by_one(ill: Ill) -> None:
    projection = await ill.world.project()
    ill.poison.cure()
    truth = await ill.truth()
    async with ill.world.hot.subscribe() as outcomes:
        assert await ill.redrive(projection) == 1
        for offset in await ill.pending():
            assert await anext(aiter(outcomes)) == Outcomes(0, PARTITION, offset, [truth.outcomes[offset]])


async def test_a_redrive_that_another_owner_overtakes_writes_nothing(ill: Ill) -> None:
    projection = await ill.world.project()
    ill.poison.cure()

    async def overtake() -> None:
        await ill.talks.say(ill.key, "meanwhile")
        other = await ill.world.project()
        assert await ill.redrive(other) == 1

    zombie = await ill.world.projection()
    await zombie.assigned([PARTITION])
    zombie.warm = ill.world.patient(when(3, overtake))  # load, load with the lock, entries, documents
    assert not await ill.world.redriver(zombie).redrive(zombie.owned[PARTITION], ill.key)
    assert not await ill.world.redriver(projection).redrive(projection.owned[PARTITION], ill.key)
    assert not projection.owned[PARTITION].parked
    await assert_projected(ill.world, await ill.truth(), pending=await ill.pending())


async def test_parked_sessions_are_never_evicted(ill: Ill) -> None:
    projection = await ill.world.project()
    await ill.world.seal()
    before = await ill.world.stored(ill.key)
    assert (await ill.world.ask(projection, "evict_timeline", ill.talks.keys)).done == 3
    assert (await ill.world.ask(projection, "evict_session", ill.talks.keys)).done == 3
    assert await ill.world.stored(ill.key) == before


async def test_the_metrics_tell_how_many_wait_and_for_how_long(ill: Ill) -> None:
    projection = await ill.world.project()
    ill.world.now_ms += 90_000
    ill.world.redriver(projection).measure()
    assert REGISTRY.get_sample_value("everlog_parked_sessions") == 1
    assert REGISTRY.get_sample_value("everlog_parked_oldest_seconds") == 90
    ill.poison.cure()
    await ill.redrive(projection)
    ill.world.redriver(projection).measure()
    assert REGISTRY.get_sample_value("everlog_parked_sessions") == 0
    assert REGISTRY.get_sample_value("everlog_parked_oldest_seconds") == 0


async def test_a_session_whose_creation_raises_is_parked_without_a_state(ill: Ill) -> None:
    world = ill.world
    ill.key = session_keys(1, name="bad")[0]
    await world.log.append(
        ill.key, value("session.created", {"owner": "ada"}, subject=ill.key.partition("/")[2], id="poison-2")
    )
    await ill.talks.say(ill.key)
    projection = await world.project()
    stored = await world.stored(ill.key)
    assert stored.state is None and stored.parked is not None and stored.version == 0
    assert await world.hot.get(ill.key) is None
    ill.poison.cure()
    assert await ill.redrive(projection) == 1
    assert (await world.stored(ill.key)).version == 2
    hot = await world.hot.get(ill.key)
    assert hot is not None and hot.version == 2


class Cold:
    """Four sessions that are only stubs."""

    def __init__(self, world: World, talks: Conversations, projection: Projection) -> None:
        self.world, self.talks, self.projection = world, talks, projection

    async def truth(self) -> Truth:
        return truth_of(await records_of(self.world.log))

    async def say(self, *keys: str) -> list[int]:
        """One event each; their offsets."""
        first = (await self.world.log.bounds(PARTITION)).end
        for key in keys:
            await self.talks.say(key, "Do you remember me?")
        await self.world.follow(self.projection)
        return list(range(first, first + len(keys)))


@pytest.fixture
async def cold() -> Cold:
    world = await World().begin()
    talks = Conversations(world.log)
    await talks.begin()
    projection = await world.project()
    await world.seal()
    assert (await world.ask(projection, "evict_session", talks.keys)).done == len(talks.keys)
    return Cold(world, talks, projection)


async def test_an_event_for_a_stub_is_parked_until_its_state_is_back(cold: Cold) -> None:
    key = cold.talks.keys[0]
    pending = await cold.say(key)
    stored = await cold.world.stored(key)
    assert stored.stub is not None and stored.parked is not None and stored.parked.reason == COLD
    await cold.world.redriver(cold.projection).bring_back()
    assert (await cold.world.stored(key)).state is not None
    await assert_projected(cold.world, await cold.truth(), pending=pending)
    cold.world.redriver(cold.projection).measure()
    assert REGISTRY.get_sample_value("everlog_parked_sessions") == 0


async def test_nobody_else_waits_while_a_cold_session_is_read_from_the_archive(cold: Cold) -> None:
    key, other, *_ = cold.talks.keys
    await cold.say(other)
    await cold.world.redriver(cold.projection).bring_back()
    reading, answer = asyncio.Event(), asyncio.Event()

    async def wait(name: str) -> None:
        reading.set()
        await answer.wait()

    cold.projection.history = cold.world.history(objects=Watch(wait))
    pending = await cold.say(key)
    returning = asyncio.create_task(cold.world.redriver(cold.projection).bring_back())
    await asyncio.wait_for(reading.wait(), DEADLINE_S)
    (at,) = await cold.say(other)
    pending += await cold.say(key)
    assert await cold.world.warm.outcome(0, PARTITION, at) != PENDING
    answer.set()
    await returning
    await assert_projected(cold.world, await cold.truth(), pending=[*pending, 16])


async def test_an_archive_that_is_away_is_asked_again_later(cold: Cold) -> None:
    (at,) = await cold.say(cold.talks.keys[0])
    calls = failing(0, UnavailableError("the object store", "no answer"), after=False)
    cold.projection.history = cold.world.history(objects=calls)
    await cold.world.redriver(cold.projection).bring_back()
    await assert_projected(cold.world, await cold.truth(), pending=[at])


async def test_an_archive_that_gives_another_state_is_not_believed_and_not_asked_all_the_time(cold: Cold) -> None:
    await cold.say(cold.talks.keys[0])
    cold.world.damage_segments()
    redriver = cold.world.redriver(cold.projection)
    with capture_logs() as lines:
        await redriver.bring_back()
        await redriver.bring_back()
    assert [line["error"] for line in lines] == ["ArchiveDamagedError"]
    stored = await cold.world.stored(cold.talks.keys[0])
    assert stored.stub is not None and stored.parked is not None


async def test_cold_sessions_come_back_by_themselves_also_after_a_restart(cold: Cold) -> None:
    pending = await cold.say(*cold.talks.keys)
    assert len(cold.talks.keys) < CONCURRENT_RETURNS
    projection = await cold.world.project()
    async with cold.world.hot.subscribe() as outcomes, asyncio.timeout(DEADLINE_S):
        running = asyncio.create_task(cold.world.redriver(projection).run())
        told = {(await anext(aiter(outcomes))).first for _ in pending}
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert told == set(pending)
    await assert_projected(cold.world, await cold.truth(), pending=pending)


async def test_a_bad_event_for_a_stub_parks_it_with_its_state(cold: Cold, monkeypatch: pytest.MonkeyPatch) -> None:
    poison = Poison(monkeypatch)
    key = cold.talks.keys[0]
    end = (await cold.world.log.bounds(PARTITION)).end
    await cold.talks.say(key, "bad", id="poison-1")
    await cold.say(key)
    await cold.world.redriver(cold.projection).bring_back()
    stored = await cold.world.stored(key)
    assert stored.state is not None and stored.stub is None and stored.version == 4
    assert stored.parked is not None and (stored.parked.offset, stored.parked.reason) == (end, "ZeroDivisionError")
    poison.cure()
    assert (await cold.world.ask(cold.projection, "redrive", [key])).done == 1
    await assert_projected(cold.world, await cold.truth(), pending=[end, end + 1])


async def test_a_partition_that_was_taken_away_is_not_written_to(ill: Ill) -> None:
    projection = await ill.world.project()
    ill.poison.cure()
    owned = projection.owned[PARTITION]
    await projection.revoked([PARTITION])
    assert not await ill.world.redriver(projection).redrive(owned, ill.key)
    await assert_parked(ill.world, ill)


async def test_a_document_that_claims_to_have_seen_what_never_was_is_not_redriven(ill: Ill) -> None:
    projection = await ill.world.project()
    ill.poison.cure()
    loaded = (await ill.world.warm.load([ill.key]))[ill.key]
    assert loaded.stored.parked is not None
    loaded.stored.parked = type(loaded.stored.parked)(ill.bad_offset, "KeyError", 1_000)
    loaded.stored.revision += 1
    await ill.world.warm.write_sessions([SessionWrite(loaded.stored, loaded.base)])
    with pytest.raises(IntegrityError, match="history"):
        await ill.world.redriver(projection).redrive(projection.owned[PARTITION], ill.key)


@pytest.fixture(autouse=True)
async def _no_task_is_left() -> AsyncIterator[None]:
    yield
    await until(lambda: len(asyncio.all_tasks()) <= 1, what="reads of the archive that were given up end")
