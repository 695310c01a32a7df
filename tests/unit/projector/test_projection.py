"""Batches into stores: exactly once in effect, whatever fails in between, and whoever else works there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from everlog.adapters.memory.hot import MemoryHotStore
from everlog.adapters.memory.warm import MemoryWarmStore
from everlog.domain.record import Record
from everlog.domain.verdicts import FOREIGN
from everlog.ports.hot import key_mark
from everlog.ports.warm import ClosedBatch, SessionWrite
from everlog.projector import projection as module
from everlog.projector.ports import ResumeError
from everlog.schemas.errors import IntegrityError, UnavailableError
from support.conversations import PARTITION, Conversations, Truth, records_of, session_keys, truth_of
from support.watched import CrashError, Watch, away, failing, silent, taking_turns, when
from support.world import BATCH, World, assert_projected, assert_warm

BATCHES = 3


class Told:
    """A world whose log is told, and what is true of it."""

    def __init__(self, world: World, talks: Conversations, truth: Truth) -> None:
        self.world, self.talks, self.truth = world, talks, truth

    async def again(self) -> World:
        """Another world that follows the same log."""
        return await World(self.world.log).begin()


async def told(records: int, *, seed: int = 1, sessions: int = 4) -> Told:
    world = await World().begin()
    talks = Conversations(world.log, sessions=sessions, seed=seed)
    await talks.go_on(records)
    return Told(world, talks, truth_of(await records_of(world.log)))


@pytest.fixture
async def short() -> Told:
    """Three batches of everything."""
    return await told(BATCH * BATCHES)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cached_sessions", [1, 100])
async def test_batches_come_to_what_the_whole_log_comes_to(seed: int, cached_sessions: int) -> None:
    story = await told(200, seed=seed, sessions=9)
    projection = await story.world.projection(cached_sessions=cached_sessions)
    await story.world.follow(projection, batch=3 + seed)
    await assert_projected(story.world, story.truth)
    assert {stored.key async for stored in story.world.hot_documents(list(story.truth.hashes))} == set(
        story.truth.hashes
    )


@pytest.mark.parametrize("batch", [1, 2, 100])
async def test_what_was_taken_back_is_neither_warm_nor_hot(batch: int) -> None:
    world = await World().begin()
    talks = Conversations(world.log)
    await talks.begin()
    key, other = talks.keys[:2]
    await talks.say(key, "a secret")
    await talks.edit(key, 5, "the same secret")
    await talks.say(other, "no secret")
    await talks.redact(key, 5)
    await talks.say(key, "Good bye")
    projection = await world.projection()
    await world.follow(projection, batch=batch)
    truth = truth_of(await records_of(world.log))
    await assert_projected(world, truth)
    assert [b"secret" in entry.value for entry in truth.entries[key]] == [False] * 4 + [True, True, False, False]
    hot = world.hot.at_epoch(1)
    assert await hot.tail(key) == truth.shown[key]
    assert await hot.tail(other) == truth.shown[other] == truth.entries[other]


async def test_a_batch_tells_whom_it_moved(short: Told) -> None:
    async with short.world.hot.subscribe() as outcomes:
        projection = await short.world.project(batch=100)
        told = await anext(aiter(outcomes))
        moved, refreshed = list(short.truth.entries)[:2]
        await short.talks.say(moved, "Hello again")
        await short.talks.say(refreshed, "too late", expectedversion=1_000)
        await short.world.follow(projection)
        later = await anext(aiter(outcomes))
    assert sorted(told.moved) == sorted(map(key_mark, short.truth.entries))
    assert later.moved == [key_mark(moved)]


async def test_the_outcomes_of_every_batch_are_published(short: Told) -> None:
    published: list[int] = []
    async with short.world.hot.subscribe() as outcomes:
        await short.world.project()
        for _ in range(BATCHES):
            batch = await anext(aiter(outcomes))
            assert batch.first == len(published)
            published += batch.packed
    assert published == short.truth.outcomes


async def test_a_batch_that_is_not_the_next_one_resumes(short: Told) -> None:
    records = await records_of(short.world.log)
    projection = await short.world.projection()
    with pytest.raises(ResumeError):
        await projection.apply(PARTITION, records[:2])
    await projection.assigned([PARTITION])
    for wrong in (records[1:3], records[BATCH:]):
        with pytest.raises(ResumeError):
            await projection.apply(PARTITION, wrong)
    await projection.apply(PARTITION, records[:2])
    with pytest.raises(ResumeError):
        await projection.apply(PARTITION, records[:2])
    await projection.revoked([PARTITION])
    with pytest.raises(ResumeError):
        await projection.apply(PARTITION, records[2:])


async def calls_of(story: Told) -> list[str]:
    """The calls of stores that following the log makes, in order."""
    watch = silent()
    world = await story.again()
    await world.follow(await world.projection(watch))
    return watch.calls


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
async def test_a_crash_at_any_call_of_a_store_leaves_what_the_next_worker_completes(short: Told, after: bool) -> None:
    calls = await calls_of(short)
    assert {"load", "insert_timeline", "insert_rejections", "write_sessions", "close_batch", "put", "publish"} <= set(
        calls
    )
    for number in range(len(calls)):
        world = await short.again()
        with pytest.raises(CrashError):
            await world.follow(await world.projection(failing(number, CrashError(calls[number]), after=after)))
        await world.project()
        await assert_projected(world, short.truth)
        hot = {stored.key async for stored in world.hot_documents(list(short.truth.hashes))}
        assert hot == set(short.truth.hashes), f"hot misses sessions after a crash at call {number}, {calls[number]}"


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
async def test_two_crashes_in_a_row_are_survived_with_other_batches(short: Told, after: bool) -> None:
    calls = await calls_of(short)
    for number in range(0, len(calls), 2):
        world = await short.again()
        for batch in (BATCH, BATCH - 2):
            watch = failing(number, CrashError(), after=after)
            try:
                await world.follow(await world.projection(watch), batch=batch)
            except CrashError:
                continue
        await world.project(batch=4)
        await assert_projected(world, short.truth)


async def test_a_reply_that_is_lost_is_not_noticed(short: Told) -> None:
    """Every store is asked again; the log is not: its worker is."""
    lost_reply = UnavailableError("the store", "the reply was lost")
    calls = await calls_of(short)
    for number in [number for number, call in enumerate(calls) if call not in ("bounds", "read")]:
        world = await short.again()
        await world.follow(await world.projection(failing(number, lost_reply, after=True)))
        await assert_projected(world, short.truth)


async def test_a_store_that_stays_away_ends_the_worker_and_nothing_is_lost(short: Told) -> None:
    for name in ("load", "insert_timeline", "insert_rejections", "write_sessions", "close_batch"):
        world = await short.again()
        with pytest.raises(UnavailableError):
            await world.follow(await world.projection(away({name})))
        assert await world.warm.watermark(0, PARTITION) == 0
        await world.project()
        await assert_projected(world, short.truth)


async def test_nothing_of_a_batch_is_hot_or_published_before_its_watermark_has_moved(short: Told) -> None:
    watch = silent()
    await short.world.follow(await short.world.projection(watch))
    steps = [call for call in watch.calls if call in ("write_sessions", "close_batch", "put", "publish")]
    assert steps == ["write_sessions", "close_batch", "put", "publish"] * BATCHES


async def test_when_somebody_else_moved_the_watermark_nothing_is_hot_or_published(short: Told) -> None:
    world = short.world

    async def overtake() -> None:
        await world.warm.close_batch(ClosedBatch(0, PARTITION, 0, 1, short.truth.outcomes[:1]))

    calls = await calls_of(short)
    watch = when(calls.index("close_batch"), overtake)
    projection = await world.projection(watch)
    await projection.assigned([PARTITION])
    with pytest.raises(ResumeError, match="watermark"):
        await projection.apply(PARTITION, (await records_of(world.log))[:BATCH])
    assert "put" not in watch.calls
    assert [stored async for stored in world.hot_documents(short.talks.keys)] == []
    await world.follow(projection)
    await assert_projected(world, short.truth)


@pytest.mark.parametrize("seed", range(12))
async def test_two_owners_that_work_in_turns_damage_nothing(seed: int) -> None:
    story = await told(60, seed=seed)
    world, chance = story.world, random.Random(seed)
    owners = [await world.projection(cached_sessions=chance.choice([1, 100])) for _ in range(2)]
    records = await records_of(world.log)
    positions = [(await owner.assigned([PARTITION]))[PARTITION] for owner in owners]
    while min(positions) < len(records):
        at = chance.randrange(2)
        batch = records[positions[at] : positions[at] + chance.randint(1, 9)]
        try:
            if batch:
                await owners[at].apply(PARTITION, batch)
            positions[at] += len(batch)
        except ResumeError:
            positions[at] = (await owners[at].assigned([PARTITION]))[PARTITION]
    await assert_projected(world, story.truth)


@pytest.mark.parametrize("seed", range(20))
async def test_two_owners_at_the_same_time_damage_nothing(seed: int) -> None:
    story = await told(60, seed=seed)
    world, chance = story.world, random.Random(seed)
    slow = taking_turns(lambda: chance.randrange(4))
    owners = [await world.projection(slow) for _ in range(2)]
    await asyncio.gather(
        *(world.follow(owner, batch=batch) for owner, batch in zip(owners, (5, 8), strict=True)), return_exceptions=True
    )
    await world.project()
    await assert_projected(world, story.truth)


async def test_a_zombie_that_wakes_up_before_its_write_resumes_where_the_new_owner_stands(short: Told) -> None:
    calls = await calls_of(short)
    records = await records_of(short.world.log)
    for number, call in enumerate(calls[: calls.index("publish")]):
        world = await short.again()
        zombie = await world.projection(when(number, lambda world=world: world.project()))  # type: ignore[misc]
        try:
            await zombie.assigned([PARTITION])
            await zombie.apply(PARTITION, records[:BATCH])
        except ResumeError:
            pass
        assert await world.warm.watermark(0, PARTITION) == len(records), f"at call {number}, {call}"
        await world.follow(zombie)
        await assert_projected(world, short.truth)


async def test_a_moved_base_is_loaded_and_only_the_rest_is_folded(short: Told) -> None:
    world = short.world
    records = await records_of(world.log)
    calls = await calls_of(short)

    async def crash_of_a_smaller_batch() -> None:
        crash = await world.projection(failing(len(calls), CrashError(), after=False))
        await crash.assigned([PARTITION])
        crash.warm = world.patient(failing(3, CrashError(), after=True))  # load, watermark, entries, documents
        with pytest.raises(CrashError):
            await crash.apply(PARTITION, records[:3])

    watch = when(calls.index("write_sessions"), crash_of_a_smaller_batch)
    projection = await world.projection(watch)
    await projection.assigned([PARTITION])
    await projection.apply(PARTITION, records[:BATCH])
    assert watch.calls.count("write_sessions") == 2
    await world.follow(projection)
    await assert_projected(world, short.truth)


async def test_bases_that_move_again_and_again_end_in_a_resume(short: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    world = short.world
    monkeypatch.setattr(module, "MOVED_BASE_ROUNDS", 0)
    projection = await world.projection()
    await projection.assigned([PARTITION])
    with pytest.raises(ResumeError, match="bases move"):
        await projection.apply(PARTITION, (await records_of(world.log))[:BATCH])


async def test_acknowledged_documents_that_are_lost_mean_resume(short: Told) -> None:
    world = short.world
    records = await records_of(world.log)
    projection = await world.projection()
    await projection.assigned([PARTITION])
    await projection.apply(PARTITION, records[:BATCH])
    world.warm._documents.clear()
    with pytest.raises(ResumeError, match="lost acknowledged writes"):
        await projection.apply(PARTITION, records[BATCH:])


async def test_a_failed_hot_store_begins_a_new_epoch_and_stops_nobody(short: Told) -> None:
    names = {"put"}
    world = short.world
    projection = await world.projection(away(names))
    records = await records_of(world.log)
    await projection.assigned([PARTITION])
    await projection.apply(PARTITION, records[:BATCH])
    assert (await world.control.live()).hot_epoch == 2
    names.clear()
    await world.follow(projection)
    await assert_projected(world, short.truth)
    assert (await world.control.live()).hot_epoch == 2


async def test_a_hot_write_that_fails_while_the_store_is_away_already_begins_another_epoch(short: Told) -> None:
    """The first batch fails; the second lands, but says that it failed; of the third nothing lands."""
    failures: list[bool] = [False, True, False]

    async def before(name: str) -> None:
        if name == "put" and failures and not failures[0]:
            failures.pop(0)
            raise UnavailableError("the hot store", "no connection")

    async def after(name: str) -> None:
        if name == "put" and failures:
            failures.pop(0)
            raise UnavailableError("the hot store", "no reply")

    await short.world.follow(await short.world.projection(Watch(before, after)))
    assert not failures
    await assert_projected(short.world, short.truth)


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
async def test_a_hot_store_that_fails_at_any_call_shows_nothing_old(short: Told, after: bool) -> None:
    calls = await calls_of(short)
    for number, call in enumerate(calls):
        if call in ("put", "publish"):
            world = await short.again()
            error = UnavailableError("the hot store", "no answer")
            await world.follow(await world.projection(failing(number, error, after=after)))
            await assert_projected(world, short.truth)


async def forge(world: World, key: str) -> None:
    """A document that says what never happened, and that it has seen everything."""
    loaded = (await world.warm.load([key]))[key]
    stored = loaded.stored
    assert stored.state is not None
    stored.state.view.title, stored.offset, stored.revision = "forged", 1_000, stored.revision + 1
    await world.warm.write_sessions([SessionWrite(stored, loaded.base)])


async def test_a_partition_without_a_watermark_trusts_no_document(short: Told) -> None:
    world = short.world
    await world.project()
    await forge(world, next(iter(short.truth.hashes)))
    world.warm._watermarks.clear()
    world.hot = MemoryHotStore(1)
    await world.project(batch=5)
    await assert_projected(world, short.truth)


async def test_without_a_watermark_a_trimmed_partition_is_folded_from_the_archive_and_then_the_log(short: Told) -> None:
    world = short.world
    archived = await records_of(world.log)
    await world.project()
    await world.seal_and_trim(segment_events=8)
    await short.talks.go_on(BATCH)
    truth = truth_of([*archived, *await records_of(world.log)])
    assert (await world.log.bounds(PARTITION)).start == BATCH * BATCHES

    world.warm = MemoryWarmStore(now_ms=world.clock)
    projection = await world.projection()
    assert await projection.assigned([PARTITION]) == {PARTITION: len(truth.outcomes)}
    await assert_projected(world, truth)


async def test_a_crash_while_the_archive_is_replayed_is_continued(short: Told) -> None:
    world = short.world
    await world.project()
    await world.seal_and_trim(segment_events=4)
    world.warm = MemoryWarmStore(now_ms=world.clock)
    calls = silent()
    await (await world.projection(calls)).assigned([PARTITION])
    await assert_warm(world, short.truth)
    for number in range(0, len(calls.calls), 3):
        world.warm = MemoryWarmStore(now_ms=world.clock)
        with pytest.raises(CrashError):
            await (await world.projection(failing(number, CrashError(), after=True))).assigned([PARTITION])
        await world.project()
        await assert_warm(world, short.truth)


async def test_a_log_that_ends_below_the_watermark_is_never_projected(short: Told) -> None:
    world = short.world
    await world.warm.begin(0, PARTITION, BATCH * BATCHES + 1)
    with pytest.raises(IntegrityError, match="lost or replaced"):
        await (await world.projection()).assigned([PARTITION])


async def test_records_that_belong_to_no_session_have_an_outcome_and_nothing_else() -> None:
    world = await World().begin()
    strays = [
        Record(PARTITION, 0, 1, None, b"x"),
        Record(PARTITION, 1, 1, b"no separator", b"x"),
        Record(PARTITION, 2, 1, session_keys(1, partition=1)[0].encode(), b"x"),
    ]
    projection = await world.projection()
    await projection.assigned([PARTITION])
    await projection.apply(PARTITION, strays)
    assert [await world.warm.outcome(0, PARTITION, at) for at in range(3)] == [FOREIGN] * 3
    assert await world.warm.watermark(0, PARTITION) == 3


@pytest.mark.parametrize("name", ["insert_timeline", "write_sessions", "close_batch"])
@pytest.mark.parametrize("batches", [0, 1, 2])
async def test_a_failed_batch_leaves_nothing_of_it_in_memory(short: Told, name: str, batches: int) -> None:
    """Folds change states in place: a batch that failed and comes again must not find them changed."""
    world = short.world
    names: set[str] = set()
    projection = await world.projection(away(names))
    await projection.assigned([PARTITION])
    records = await records_of(world.log)
    for number in range(batches):
        await projection.apply(PARTITION, records[number * BATCH : (number + 1) * BATCH])
    names.add(name)
    for _ in range(3):
        with pytest.raises(UnavailableError):
            await projection.apply(PARTITION, records[batches * BATCH : (batches + 1) * BATCH])
    names.clear()
    for number in range(batches, BATCHES):
        await projection.apply(PARTITION, records[number * BATCH : (number + 1) * BATCH])
    await assert_projected(world, short.truth)


async def test_two_partitions_are_told_apart(short: Told) -> None:
    world = short.world
    other = Conversations(world.log, partition=1, seed=7)
    await other.begin()
    await world.project()
    await world.project(partition=1)
    await assert_projected(world, short.truth)
    await assert_projected(world, truth_of(await records_of(world.log, 1), 1), 1)


@pytest.fixture(autouse=True)
async def _no_task_is_left() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) <= 1
