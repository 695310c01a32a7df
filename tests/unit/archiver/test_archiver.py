"""Seal, prove, trim: nothing leaves the log that the archive does not hold byte for byte."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from everlog.adapters.memory.log import MemoryLog
from everlog.archive.manifest import Manifest
from everlog.archiver.service import Archiver, is_due
from everlog.archiver.settings import ArchiverSettings
from everlog.domain.record import LogRecord
from everlog.ports.control import Anchor
from everlog.schemas.errors import (
    ArchiveDamagedError,
    FencedWriterError,
    IntegrityError,
    LogLostError,
    OffsetTrimmedError,
    UnavailableError,
)
from support.conversations import PARTITION, PARTITIONS, Conversations, records_of
from support.watched import CrashError, Watch, away, failing, silent
from support.world import World

RECORDS = 25
SEGMENT = 10
DEADLINE_S = 5


@pytest.fixture
async def world() -> World:
    """Conversations that are projected and not archived."""
    world = await World().begin()
    await Conversations(world.log).go_on(RECORDS)
    for partition in range(PARTITIONS):
        await world.project(partition=partition)
    return world


async def manifest_of(world: World) -> Manifest:
    manifest = await world.archive()[0].load(0, PARTITION)
    assert manifest is not None
    return manifest


async def archived(world: World) -> list[LogRecord]:
    manifests, segments = world.archive()
    manifest = await manifests.load(0, PARTITION)
    entries = manifest.segments if manifest is not None else ()
    return [record for entry in entries for record in (await segments.read_entry(entry)).records()]


async def run(archiver: Archiver) -> None:
    """What one cycle of the service does."""
    await archiver.seal(everything=True)
    await archiver.prove()
    await archiver.trim(window_s=0)


@pytest.mark.parametrize(
    ("pending", "waited_s", "due"),
    [(0, 0, False), (0, 1e9, False), (1, 29.9, False), (1, 30, True), (9, 0, False), (10, 0, True), (11, 0, True)],
)
def test_a_segment_is_due_when_it_is_full_or_has_waited_long(pending: int, waited_s: float, due: bool) -> None:
    settings = ArchiverSettings(segment_events=10, flush_interval_s=30)
    assert is_due(pending, waited_s, settings) is due


async def test_everything_is_archived_then_proved_then_trimmed(world: World) -> None:
    log = await records_of(world.log)
    archiver = world.archiver(segment_events=SEGMENT)
    sealed = await archiver.seal(everything=True)
    assert (sealed.segments, sealed.events) == (3, RECORDS)
    assert sealed.raw_bytes == sum(len(record.value or b"") for record in log)
    assert (await manifest_of(world)).trim_ok_offset == 0
    assert [trim.after for trim in await archiver.trim(window_s=0)] == [0] * PARTITIONS, "nothing is proved yet"
    await archiver.prove()
    manifest = await manifest_of(world)
    assert (manifest.next_offset, manifest.trim_ok_offset) == (RECORDS, RECORDS)
    assert [entry.rows for entry in manifest.segments] == [10, 10, 5]
    assert [(trim.before, trim.after) for trim in await archiver.trim(window_s=0)][PARTITION] == (0, RECORDS)
    assert await world.log.bounds(PARTITION) == (RECORDS, RECORDS)
    assert await archived(world) == log
    assert (await archiver.seal(everything=True)).segments == 0


async def test_only_full_segments_are_sealed_before_the_flush_interval(world: World) -> None:
    archiver = world.archiver(segment_events=SEGMENT, flush_interval_s=3600)
    assert (await archiver.seal(everything=False)).events == 20
    archiver = world.archiver(segment_events=SEGMENT, flush_interval_s=0)
    assert (await archiver.seal(everything=False)).events == RECORDS - 20


async def test_a_segment_ends_at_its_raw_bytes(world: World) -> None:
    talks = Conversations(world.log, seed=2)
    await talks.create(talks.keys[0])
    for _ in range(4):
        await talks.say(talks.keys[0], "x" * 30_000)
    await world.archiver(segment_raw_bytes=1 << 16).seal(everything=True)
    assert [entry.next for entry in (await manifest_of(world)).segments] == [RECORDS + 3, RECORDS + 5]


async def test_what_is_younger_than_the_window_stays(world: World) -> None:
    world.now_ms += 60_000
    await Conversations(world.log, seed=2).go_on(SEGMENT)
    await world.project()
    world.now_ms += 60_000
    archiver = world.archiver(segment_events=RECORDS)
    await archiver.seal(everything=True)
    await archiver.prove()
    assert (await archiver.trim(window_s=121))[PARTITION].after == 0
    assert (await archiver.trim(window_s=100))[PARTITION].after == RECORDS
    assert (await archiver.trim(window_s=0))[PARTITION].after == RECORDS + SEGMENT


async def test_what_is_not_projected_stays(world: World) -> None:
    await Conversations(world.log, seed=2).go_on(SEGMENT)
    await run(world.archiver(segment_events=SEGMENT))
    assert (await world.log.bounds(PARTITION)).start == 20


async def test_a_dry_run_of_a_trim_only_says_what_would_go(world: World) -> None:
    await world.seal()
    trims = await world.archiver().trim(window_s=0, dry_run=True)
    assert (trims[PARTITION].before, trims[PARTITION].after) == (0, RECORDS)
    assert await world.log.bounds(PARTITION) == (0, RECORDS)
    assert await world.control.anchored(0, PARTITION) is None


async def test_an_anchor_names_the_manifest_before_the_log_is_trimmed(world: World) -> None:
    await world.seal()
    watch = silent()
    await world.archiver(watch=watch).trim(window_s=0)
    assert watch.calls.index("anchor") < watch.calls.index("delete_before")
    held = await world.archive()[0].load_head(0, PARTITION)
    assert held is not None
    assert await world.control.anchored(0, PARTITION) == Anchor(0, PARTITION, held.head.seq, held.head.sha256, RECORDS)


@pytest.mark.parametrize("name", ["watermark", "anchor"])
async def test_without_watermark_or_anchor_nothing_is_trimmed(world: World, name: str) -> None:
    await world.seal()
    with pytest.raises(UnavailableError):
        await world.archiver(watch=away({name})).trim(window_s=0)
    assert await world.log.bounds(PARTITION) == (0, RECORDS)


async def test_a_record_that_is_not_the_archived_one_is_a_fault_and_nothing_is_trimmed(world: World) -> None:
    archiver = world.archiver(segment_events=SEGMENT)
    await archiver.seal(everything=True)
    record = world.log._records[PARTITION][12]
    for changed in (
        record._replace(value=b"other"),
        record._replace(key=b"acme/other"),
        record._replace(timestamp=record.timestamp + 1),
        record._replace(headers=(("x", b"y"),)),
    ):
        world.log._records[PARTITION][12] = changed
        with pytest.raises(ArchiveDamagedError, match=r"10-20-.*not what the log holds"):
            await archiver.prove()
        assert (await manifest_of(world)).trim_ok_offset == 0
        assert all(trim.after == 0 for trim in await archiver.trim(window_s=0))
    world.log._records[PARTITION][12] = record
    await archiver.prove()
    assert (await manifest_of(world)).trim_ok_offset == RECORDS


async def test_an_object_that_was_damaged_after_its_read_back_is_a_fault_and_nothing_is_trimmed(world: World) -> None:
    archiver = world.archiver(segment_events=SEGMENT)
    await archiver.seal(everything=True)
    world.damage_segments()
    with pytest.raises(ArchiveDamagedError):
        await archiver.prove()
    assert all(trim.after == 0 for trim in await archiver.trim(window_s=0))


async def test_what_does_not_read_back_is_never_published(world: World) -> None:
    async def after(name: str) -> None:
        if name == "create":  # of a manifest there is nothing to damage yet, of the segment there is
            world.damage_segments()

    with pytest.raises(ArchiveDamagedError):
        await world.archiver(watch=Watch(after=after)).seal(everything=True)
    assert (await manifest_of(world)).segments == ()


async def test_a_hole_in_the_log_stops_the_archiver(world: World) -> None:
    del world.log._records[PARTITION][12]
    archiver = world.archiver(segment_events=SEGMENT)
    with pytest.raises(IntegrityError, match="12"):
        await archiver.seal(everything=True)
    assert (await manifest_of(world)).next_offset == SEGMENT


async def test_a_fenced_archiver_stops_writing(world: World) -> None:
    old, new = (
        world.archiver(writer="old", segment_events=SEGMENT),
        world.archiver(writer="new", segment_events=SEGMENT),
    )
    await old.seal(everything=True)
    await Conversations(world.log, seed=2).go_on(5)
    await new.seal(everything=True)
    published = await manifest_of(world)
    await Conversations(world.log, seed=3).go_on(5)
    with pytest.raises(FencedWriterError):
        await old.seal(everything=True)
    with pytest.raises(FencedWriterError):
        await old.prove()
    assert await manifest_of(world) == published
    await new.seal(everything=True)
    assert await archived(world) == await records_of(world.log)


async def test_an_archiver_that_was_overtaken_long_ago_takes_over_again(world: World) -> None:
    old = world.archiver(writer="old", segment_events=SEGMENT)
    await old.seal(everything=True)
    await Conversations(world.log, seed=2).go_on(5)
    await world.project()
    await world.seal_and_trim()
    await Conversations(world.log, seed=3).go_on(5)
    await old.seal(everything=True)
    assert (await manifest_of(world)).next_offset == RECORDS + 10


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
async def test_a_crash_at_any_call_is_completed_by_the_next_archiver(after: bool) -> None:
    calls = silent()
    await run((await small_world()).archiver(watch=calls, segment_events=SEGMENT))
    assert {"create", "swap", "anchor", "delete_before"} <= set(calls.calls)
    for number in range(len(calls.calls)):
        world = await small_world()
        log = await records_of(world.log)
        with pytest.raises(CrashError):
            await run(world.archiver(watch=failing(number, CrashError(), after=after), segment_events=SEGMENT))
        await run(world.archiver(writer="w2", segment_events=SEGMENT))
        assert await archived(world) == log, f"after a crash at call {number}, {calls.calls[number]}"
        assert (await manifest_of(world)).trim_ok_offset == len(log)
        assert await world.log.bounds(PARTITION) == (len(log), len(log))


async def small_world() -> World:
    world = await World().begin()
    await Conversations(world.log).go_on(12)
    await world.project()
    return world


async def test_a_log_that_ends_before_the_archive_is_never_archived(world: World) -> None:
    await world.seal()
    world.log = MemoryLog(PARTITIONS, clock=world.clock)
    await Conversations(world.log, seed=3).go_on(5)
    with pytest.raises(LogLostError, match="below the 25 records"):
        await world.archiver().seal(everything=True)


async def test_records_that_were_trimmed_without_being_archived_stop_the_archiver(world: World) -> None:
    await world.log.delete_before(PARTITION, 5)
    with pytest.raises(OffsetTrimmedError):
        await world.archiver().seal(everything=True)


async def test_the_service_waits_for_what_is_away_and_goes_on(world: World) -> None:
    trimmed = asyncio.Event()
    refusals = ["create", "read", "watermark"]

    async def before(name: str) -> None:
        if name in refusals:
            refusals.remove(name)
            raise UnavailableError("it", name)

    async def after(name: str) -> None:
        if name == "delete_before":
            trimmed.set()

    archiver = world.archiver(watch=Watch(before, after), cycle_s=0.001, flush_interval_s=0, log_window_s=0)
    running = asyncio.create_task(archiver.run())
    await asyncio.wait_for(trimmed.wait(), DEADLINE_S)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert refusals == []
    assert (await world.log.bounds(PARTITION)).start == RECORDS


async def test_records_that_come_while_a_partition_is_sealed_are_sealed_the_next_time(world: World) -> None:
    async def before(name: str) -> None:
        if name == "read":
            await Conversations(world.log, seed=4).go_on(3)

    archiver = world.archiver(watch=Watch(before), segment_events=SEGMENT)
    await archiver.seal(everything=True)
    assert (await manifest_of(world)).next_offset == RECORDS
    await world.seal()
    assert await archived(world) == await records_of(world.log)
