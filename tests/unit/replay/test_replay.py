"""History: every version of every session, wherever the boundary between archive and log lies, and while it moves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everlog.archive.manifest import ManifestEntry, entry_of
from everlog.archive.rows import table_of
from everlog.archive.segment import encode_table
from everlog.archiver.proving import Prover
from everlog.archiver.sealing import Sealer
from everlog.archiver.settings import ArchiverSettings
from everlog.domain.record import LogRecord
from everlog.domain.state import State, state_hash
from everlog.replay.archive import RELOADS
from everlog.schemas.errors import ArchiveDamagedError, NotFoundError, OffsetTrimmedError
from support.conversations import PARTITION, Conversations, records_of, truth_of
from support.watched import Watch, silent, when
from support.world import World

RECORDS = 40
SEGMENT = 7


class Past:
    """A world and all the records that its log ever held."""

    def __init__(self, world: World, records: list[LogRecord], keys: list[str]) -> None:
        self.world, self.records, self.keys = world, records, keys

    def at(self, key: str, until: int) -> str | None:
        """The hash of a session's state below an offset."""
        return truth_of(self.records[:until]).hashes.get(key)


async def past(records: int = RECORDS, *, seed: int = 1) -> Past:
    world = await World().begin()
    talks = Conversations(world.log, seed=seed)
    await talks.go_on(records)
    await world.project()
    return Past(world, await records_of(world.log), talks.keys)


async def archive_below(world: World, offset: int, *, segment: int = SEGMENT) -> None:
    """Archive the records below an offset, as if the log had ended there."""
    manifests, segments = world.archive()
    chosen = ArchiverSettings(segment_events=segment)
    sealer = Sealer(world.log, manifests, segments, chosen, world.clock)
    claim = await manifests.take_over(world.identity, PARTITION, writer="w0")
    while claim.manifest.next_offset < offset:
        claim, _, _ = await sealer.seal(claim, PARTITION, offset)
    await Prover(world.log, manifests, segments, world.clock).prove(claim, PARTITION)


def hash_of(state: State | None) -> str | None:
    return state_hash(state) if state is not None else None


async def assert_whole(moment: Past) -> None:
    """The history of every session and of the partition is what the log held."""
    history, truth = moment.world.history(), truth_of(moment.records)
    for key in moment.keys:
        assert hash_of(await history.state(key)) == truth.hashes[key]
        assert await history.entries(key, 1, 1_000) == truth.entries[key]
        for first, until in ((0, 1_000), (5, 20), (20, 21), (30, 30)):
            mine = [one for one in moment.records[first:until] if one.key == key.encode()]
            assert await history.records(key, first, until) == mine
            for limit in (1, 4):
                assert await history.records(key, first, until, limit) == mine[:limit]
    assert [one async for chunk in history.partition(PARTITION, 0) for one in chunk] == moment.records


@pytest.mark.parametrize("trimmed", [False, True], ids=["still on the log", "trimmed"])
async def test_archive_and_log_give_everything_once_wherever_they_meet(trimmed: bool) -> None:
    for boundary in range(RECORDS + 1):
        moment = await past()
        await archive_below(moment.world, boundary)
        if trimmed:
            await moment.world.log.delete_before(PARTITION, boundary)
        await assert_whole(moment)


async def test_a_partition_is_read_from_any_offset_in_chunks_that_are_never_empty() -> None:
    moment = await past()
    await archive_below(moment.world, 25)
    await moment.world.log.delete_before(PARTITION, 20)
    for first in range(RECORDS + 1):
        chunks = [chunk async for chunk in moment.world.history().partition(PARTITION, first)]
        assert all(chunks)
        assert [record for chunk in chunks for record in chunk] == moment.records[first:]


async def test_large_intervals_come_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everlog.replay.history.CHUNK_RECORDS", 3)
    moment = await past()
    await archive_below(moment.world, RECORDS, segment=20)
    chunks = [chunk async for chunk in moment.world.history().partition(PARTITION, 5)]
    assert max(len(chunk) for chunk in chunks) == 3
    assert [record for chunk in chunks for record in chunk] == moment.records[5:]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), boundary=st.integers(0, RECORDS), segment=st.integers(1, RECORDS))
def test_the_state_at_every_version_is_the_fold_of_the_records_up_to_it(seed: int, boundary: int, segment: int) -> None:
    asyncio.run(check_versions(seed, boundary, segment))


async def check_versions(seed: int, boundary: int, segment: int) -> None:
    moment = await past(seed=seed)
    await archive_below(moment.world, boundary, segment=segment)
    await moment.world.log.delete_before(PARTITION, boundary)
    history, truth = moment.world.history(), truth_of(moment.records)
    key = moment.keys[seed % len(moment.keys)]
    entries = truth.entries.get(key, [])
    for entry in entries:
        state = await history.state(key, at_version=entry.version)
        assert state is not None and state.version == entry.version
        assert hash_of(state) == moment.at(key, entry.offset + 1)
    assert await history.state(key, at_version=len(entries) + 1) is None
    assert await history.state(key, at_version=0) is None
    first, last = sorted((1 + seed % 7, 1 + seed % 5))
    assert await history.entries(key, first, last) == entries[first - 1 : last]


async def test_the_state_below_an_offset_holds_nothing_from_there_on() -> None:
    moment = await past()
    await archive_below(moment.world, 20)
    history = moment.world.history()
    for until in range(RECORDS + 2):
        for key in moment.keys:
            assert hash_of(await history.state(key, until_offset=until)) == moment.at(key, until)


async def test_what_lies_wholly_in_the_archive_is_read_without_the_log() -> None:
    moment = await past()
    await archive_below(moment.world, 20)
    watch = silent()
    history = moment.world.history(watch)
    await history.state(moment.keys[0], until_offset=20)
    await history.state(moment.keys[0], at_version=1)
    assert watch.calls == []


async def test_a_session_that_never_was_has_no_history() -> None:
    moment = await past()
    await archive_below(moment.world, 20)
    assert await moment.world.history().state("acme/never") is None
    assert await moment.world.history().entries("acme/never", 1, 10) == []


async def test_a_trim_that_overtakes_a_reader_of_a_session_costs_it_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everlog.adapters.memory.log.CHUNK_RECORDS", 4)
    moment = await past()
    await archive_below(moment.world, 10)
    calls = silent()
    await moment.world.history(calls).state(moment.keys[0])
    assert len(calls.calls) > 5
    for number in range(len(calls.calls)):
        moment = await past()
        await archive_below(moment.world, 10)
        watch = when(number, moment.world.seal_and_trim)
        truth = truth_of(moment.records)
        assert hash_of(await moment.world.history(watch).state(moment.keys[0])) == truth.hashes[moment.keys[0]]
        assert (await moment.world.log.bounds(PARTITION)).start == RECORDS


async def test_a_trim_that_overtakes_a_reader_of_a_partition_costs_it_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everlog.adapters.memory.log.CHUNK_RECORDS", 4)
    for number in range(8):
        moment = await past()
        await archive_below(moment.world, 10)
        watch = when(number, moment.world.seal_and_trim)
        read = [one async for chunk in moment.world.history(watch).partition(PARTITION, 0) for one in chunk]
        assert read == moment.records


async def test_records_that_are_neither_archived_nor_on_the_log_are_an_error_and_no_gap() -> None:
    moment = await past()
    await archive_below(moment.world, 10)
    await moment.world.log.delete_before(PARTITION, 15)
    history = moment.world.history()
    with pytest.raises(OffsetTrimmedError):
        await history.state(moment.keys[0])
    with pytest.raises(OffsetTrimmedError):
        _ = [chunk async for chunk in history.partition(PARTITION, 0)]


async def merge(world: World, entries: Sequence[ManifestEntry]) -> list[str]:
    """Replace adjacent segments by two parts split between sessions, as a merge does; the keys of the inputs."""
    manifests, segments = world.archive()
    claim = await manifests.take_over(world.identity, PARTITION, writer="merger")
    first, following = entries[0].first, entries[-1].next
    records = [record for entry in entries for record in (await segments.read_entry(entry)).records()]
    sessions = sorted({record.key for record in records if record.key is not None})
    blooms = await manifests.load_blooms(claim.manifest)
    merged = []
    for group in (sessions[:1], sessions[1:]):
        table = table_of([record for record in records if record.key in group])
        part = encode_table(table, era=0, partition=PARTITION, first=first, next_=following, whole=False)
        key = await segments.put(part, era=0, partition=PARTITION, level=1)
        blooms[key] = part.bloom
        merged.append(entry_of(part, key=key, level=1, writer_epoch=claim.held.head.epoch, read_back_at=1))
    inputs = {entry.key for entry in entries}
    kept = [entry for entry in claim.manifest.segments if entry.key not in inputs]
    tiled = sorted([*kept, *merged], key=lambda entry: (entry.first, entry.min_session))
    await manifests.publish(claim.held, msgspec.structs.replace(claim.manifest, segments=tuple(tiled)), blooms, at=1)
    return sorted(inputs)


async def merged_past(world: World) -> None:
    """Two segments become two parts of one interval, and the inputs are deleted."""
    manifest = await world.archive()[0].load(0, PARTITION)
    assert manifest is not None
    for key in await merge(world, manifest.segments[1:3]):
        await world.objects.delete(key)


async def test_parts_of_one_interval_are_put_together() -> None:
    moment = await past()
    await archive_below(moment.world, 30)
    await merged_past(moment.world)
    await moment.world.log.delete_before(PARTITION, 30)
    manifest = await moment.world.archive()[0].load(0, PARTITION)
    assert manifest is not None
    assert [(entry.first, entry.next) for entry in manifest.segments] == [(0, 7), (7, 21), (7, 21), (21, 28), (28, 30)]
    await assert_whole(moment)


async def test_a_merge_in_the_middle_of_a_read_costs_it_nothing() -> None:
    calls = silent()
    moment = await past()
    await archive_below(moment.world, RECORDS)
    history = moment.world.history(objects=calls)
    await history.state(moment.keys[0])
    _ = [chunk async for chunk in moment.world.history(objects=calls).partition(PARTITION, 0)]
    for number in range(len(calls.calls)):
        moment = await past()
        await archive_below(moment.world, RECORDS)
        watch = when(number, lambda world=moment.world: merged_past(world))  # type: ignore[misc]
        truth = truth_of(moment.records)
        assert hash_of(await moment.world.history(objects=watch).state(moment.keys[0])) == truth.hashes[moment.keys[0]]
        history = moment.world.history(objects=watch)
        assert [one async for chunk in history.partition(PARTITION, 0) for one in chunk] == moment.records


async def test_a_segment_that_is_gone_for_good_is_an_error_and_no_endless_loop() -> None:
    moment = await past()
    await archive_below(moment.world, RECORDS)
    for key in moment.world.objects.all_keys():
        if key.endswith(".parquet"):
            await moment.world.objects.delete(key)
    watch = silent()
    history = moment.world.history(objects=watch)
    with pytest.raises(NotFoundError):
        await history.state(moment.keys[0])
    with pytest.raises(NotFoundError):
        _ = [chunk async for chunk in history.partition(PARTITION, 0)]
    assert len(watch.calls) < 20 * RELOADS


async def test_damaged_objects_are_named_and_never_read_as_history() -> None:
    moment = await past()
    await archive_below(moment.world, RECORDS)
    moment.world.damage_segments()
    history = moment.world.history()
    with pytest.raises(ArchiveDamagedError, match=r"\.parquet"):
        await history.state(moment.keys[0])
    with pytest.raises(ArchiveDamagedError, match=r"\.parquet"):
        _ = [chunk async for chunk in history.partition(PARTITION, 0)]


async def test_an_archive_that_nobody_changed_is_looked_at_with_one_get_of_head() -> None:
    moment = await past()
    await archive_below(moment.world, RECORDS)
    watch = silent()
    history = moment.world.history(objects=watch)
    await history.state(moment.keys[0])
    before = len(watch.calls)
    await history.state("acme/never")
    assert watch.calls[before:] == ["get"]


async def test_two_readers_at_once_see_the_same() -> None:
    moment = await past()
    await archive_below(moment.world, 30)
    slow = Watch(lambda _: asyncio.sleep(0))
    history = moment.world.history(slow, objects=slow)
    states = await asyncio.gather(*(history.state(key) for key in moment.keys * 3))
    truth = truth_of(moment.records)
    assert [hash_of(state) for state in states] == [truth.hashes[key] for key in moment.keys * 3]
