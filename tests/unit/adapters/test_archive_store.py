from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from everlog.adapters.archive import Claim, ManifestStore, SegmentStore
from everlog.adapters.archive.footers import FooterCache
from everlog.adapters.memory.objects import MemoryObjectStore
from everlog.archive.bloom import may_contain
from everlog.archive.manifest import ManifestEntry, append_segment, entry_of, prove
from everlog.archive.segment import encode_segment
from everlog.ports.log import LogIdentity, Record
from everlog.ports.objects import StoredObject
from everlog.schemas.errors import (
    ArchiveDamagedError,
    FencedWriterError,
    LogLostError,
    NotFoundError,
    UnavailableError,
)

IDENTITY = LogIdentity("cluster-1", "everlog.events.1", 1, 8)


class UnreliableObjectStore(MemoryObjectStore):
    """Writes that fail in the ways that a network can make them fail; counts reads."""

    create_fails: str | None = None  # "before" it happens, or "after": the reply is lost
    lose_next_reply = False  # of a swap: the driver repeats it, and is refused by its own first try
    next_swap_conflicts = False
    reads = 0

    async def create(self, key: str, data: bytes) -> bool:
        how, self.create_fails = self.create_fails, None
        if how == "after":
            await super().create(key, data)
        if how is not None:
            raise UnavailableError("the object store", "timeout")
        return await super().create(key, data)

    async def swap(self, key: str, data: bytes, *, etag: str | None) -> str | None:
        await asyncio.sleep(0)  # lets the others go first
        lost, self.lose_next_reply = self.lose_next_reply, False
        conflict, self.next_swap_conflicts = self.next_swap_conflicts, False
        if conflict:
            return None
        if lost:
            await super().swap(key, data, etag=etag)
        return await super().swap(key, data, etag=etag)

    async def get(self, key: str, *, first: int = 0, length: int | None = None) -> StoredObject | None:
        self.reads += 1
        return await super().get(key, first=first, length=length)


class Archive:
    """One writer's view of partition 3."""

    def __init__(self, objects: MemoryObjectStore, writer: str = "w1") -> None:
        self.manifests, self.segments = ManifestStore(objects, "root"), SegmentStore(objects, "root")
        self.writer = writer
        self.blooms: dict[str, bytes] = {}
        self.claim: Claim

    async def take_over(self) -> Claim:
        self.claim = await self.manifests.take_over(IDENTITY, 3, writer=self.writer)
        self.blooms = await self.manifests.load_blooms(self.claim.manifest)
        return self.claim

    async def append(self, count: int) -> ManifestEntry:
        first = self.claim.manifest.next_offset
        segment = encode_segment(records(first, count), era=1)
        key = await self.segments.put(segment, era=1, partition=3, level=0)
        await self.segments.read(key, sha256=segment.sha256)
        entry = entry_of(segment, key=key, level=0, writer_epoch=self.claim.held.head.epoch, read_back_at=1)
        self.blooms[key] = segment.bloom
        await self.publish(entry)
        return entry

    async def publish(self, entry: ManifestEntry) -> None:
        manifest = append_segment(self.claim.manifest, entry)
        self.claim = await self.manifests.publish(self.claim.held, manifest, self.blooms, at=7)


def records(first: int, count: int) -> list[Record]:
    return [Record(3, at, at, b"t/%d" % (at % 5), b"v%d" % at) for at in range(first, first + count)]


@pytest.fixture
def objects() -> UnreliableObjectStore:
    return UnreliableObjectStore()


@pytest.fixture
async def archive(objects: UnreliableObjectStore) -> Archive:
    archive = Archive(objects)
    await archive.take_over()
    return archive


async def test_a_partition_that_was_never_archived_has_no_manifest(objects: MemoryObjectStore) -> None:
    assert await ManifestStore(objects, "root").load(1, 3) is None


async def test_what_was_published_is_read_back_and_searched(archive: Archive, objects: MemoryObjectStore) -> None:
    await archive.append(20)
    await archive.append(30)
    reader, segments = ManifestStore(objects, "root"), SegmentStore(objects, "root")
    manifest = await reader.load(1, 3)
    assert manifest is not None and manifest == archive.claim.manifest and manifest.next_offset == 50
    blooms = await reader.load_blooms(manifest)
    found = [
        record
        for entry in manifest.segments
        if may_contain(blooms[entry.key], "t/4")
        for record in await segments.read_session(entry, "t/4")
    ]
    assert found == [record for record in records(0, 50) if record.key == b"t/4"]
    whole = [record for entry in manifest.segments for record in (await segments.read_entry(entry)).records()]
    assert whole == records(0, 50)


async def test_a_warm_lookup_is_one_ranged_read(archive: Archive, objects: UnreliableObjectStore) -> None:
    entry = await archive.append(20)
    await archive.segments.footer(entry)
    objects.reads = 0
    assert len(await archive.segments.read_session(entry, "t/4", first=5)) == 3
    assert objects.reads == 1
    assert await archive.segments.read_session(entry, "u/1") == []
    assert objects.reads == 1


async def test_a_manifest_names_the_one_before_and_the_bloom_object_that_it_replaced(archive: Archive) -> None:
    await archive.append(20)
    before = archive.claim
    await archive.append(20)
    manifest, replaced = archive.claim.manifest, before.manifest.bloom
    assert replaced is not None
    assert (manifest.previous, manifest.previous_sha256) == (before.held.head.manifest, before.held.head.sha256)
    assert [(gone.key, gone.since) for gone in manifest.obsolete] == [(replaced.key, 7)]


async def test_a_proof_keeps_the_bloom_object(archive: Archive) -> None:
    await archive.append(20)
    proved = prove(archive.claim.manifest, 20, 9)
    claim = await archive.manifests.publish(archive.claim.held, proved, archive.blooms, at=9)
    assert claim.manifest.bloom == archive.claim.manifest.bloom and claim.manifest.trim_ok_offset == 20


async def test_a_writer_that_was_taken_over_is_fenced(archive: Archive, objects: MemoryObjectStore) -> None:
    await archive.append(20)
    successor = Archive(objects, "w2")
    await successor.take_over()
    assert successor.claim.held.head.epoch == 2
    with pytest.raises(FencedWriterError):
        await archive.append(5)
    await successor.append(10)
    with pytest.raises(FencedWriterError):
        await archive.append(5)
    manifest = await archive.manifests.load(1, 3)
    assert manifest is not None and manifest.next_offset == 30


async def test_of_two_writers_that_take_over_at_once_one_is_fenced(objects: UnreliableObjectStore) -> None:
    for epoch in (1, 2):
        claims = await asyncio.gather(
            *(ManifestStore(objects, "root").take_over(IDENTITY, 3, writer=writer) for writer in ("w2", "w3")),
            return_exceptions=True,
        )
        assert sorted(type(claim).__name__ for claim in claims) == ["Claim", "FencedWriterError"]
        held = await ManifestStore(objects, "root").load_head(1, 3)
        assert held is not None and held.head.epoch == epoch


async def test_a_publish_whose_reply_was_lost_is_recognised_as_ours(
    archive: Archive, objects: UnreliableObjectStore
) -> None:
    segment = encode_segment(records(0, 20), era=1)
    key = await archive.segments.put(segment, era=1, partition=3, level=0)
    entry = entry_of(segment, key=key, level=0, writer_epoch=1, read_back_at=1)
    manifest = append_segment(archive.claim.manifest, entry)
    blooms = {key: segment.bloom}
    held = archive.claim.held
    claim = await archive.manifests.publish(held, manifest, blooms, at=7)
    assert await archive.manifests.publish(held, manifest, blooms, at=7) == claim
    archive.claim, archive.blooms = claim, blooms
    await archive.append(5)


@pytest.mark.parametrize("epoch", [1, 2])
async def test_a_takeover_whose_reply_was_lost_is_recognised_as_ours(
    objects: UnreliableObjectStore, epoch: int
) -> None:
    archive = Archive(objects)
    if epoch == 2:
        await archive.take_over()
    objects.lose_next_reply = True
    claim = await archive.take_over()
    assert claim.held.head.epoch == epoch
    await archive.append(5)


async def test_a_swap_that_met_another_write_may_be_repeated(archive: Archive, objects: UnreliableObjectStore) -> None:
    objects.next_swap_conflicts = True
    with pytest.raises(UnavailableError):
        await archive.take_over()
    await archive.take_over()


@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_segment_may_be_written_again_after_a_failure(
    archive: Archive, objects: UnreliableObjectStore, how: str
) -> None:
    segment = encode_segment(records(0, 20), era=1)
    objects.create_fails = how
    with pytest.raises(UnavailableError):
        await archive.segments.put(segment, era=1, partition=3, level=0)
    key = await archive.segments.put(segment, era=1, partition=3, level=0)
    assert (await archive.segments.read(key, sha256=segment.sha256)).records() == records(0, 20)


async def test_an_object_that_lies_where_a_segment_belongs_is_detected(
    archive: Archive, objects: MemoryObjectStore
) -> None:
    segment = encode_segment(records(0, 20), era=1)
    key = archive.manifests.layout(1, 3).segment(0, 0, 20, segment.sha256)
    await objects.create(key, b"something else")
    with pytest.raises(ArchiveDamagedError, match=key):
        await archive.segments.put(segment, era=1, partition=3, level=0)


async def test_another_log_is_not_archived_into_the_same_place(archive: Archive) -> None:
    with pytest.raises(LogLostError):
        await archive.manifests.take_over(IDENTITY._replace(cluster_id="other"), 3, writer="w2")


async def test_damage_is_detected_and_names_the_object(archive: Archive, objects: MemoryObjectStore) -> None:
    entry = await archive.append(20)
    other = await archive.append(20)
    bloom, head = archive.claim.manifest.bloom, archive.claim.held.head
    assert bloom is not None
    stored = {key: objects.peek(key) for key in objects.all_keys()}

    async def expect(key: str, data: bytes, reading: Callable[[], Awaitable[object]]) -> None:
        objects.damage(key, data)
        with pytest.raises(ArchiveDamagedError) as caught:
            await reading()
        assert key in str(caught.value)
        objects.damage(key, stored[key])

    cold = SegmentStore(objects, "root", footers=FooterCache(0))
    await expect(entry.key, stored[other.key], lambda: cold.read_entry(entry))
    await expect(entry.key, stored[entry.key][:-1], lambda: cold.read_entry(entry))
    await expect(entry.key, stored[other.key], lambda: cold.footer(entry))
    await expect(entry.key, b"PAR1" + bytes(len(stored[entry.key])), lambda: archive.segments.footer(entry))
    await archive.segments.footer(entry)
    await expect(entry.key, bytes(len(stored[entry.key])), lambda: archive.segments.read_session(entry, "t/1"))
    await expect(
        bloom.key, stored[bloom.key][:-1] + b"x", lambda: archive.manifests.load_blooms(archive.claim.manifest)
    )
    await expect(head.manifest, stored[head.manifest][:-1] + b"x", lambda: archive.manifests.load(1, 3))


async def test_a_manifest_that_is_gone_is_damage(archive: Archive, objects: MemoryObjectStore) -> None:
    await objects.delete(archive.claim.held.head.manifest)
    with pytest.raises(ArchiveDamagedError, match="is gone"):
        await archive.manifests.load(1, 3)


async def test_a_segment_that_a_merge_deleted_is_not_found(archive: Archive, objects: MemoryObjectStore) -> None:
    entry = await archive.append(20)
    await objects.delete(entry.key)
    for reading in (archive.segments.read_entry(entry), archive.segments.read_session(entry, "t/1")):
        with pytest.raises(NotFoundError, match="newest manifest"):
            await reading


async def test_the_footer_cache_drops_what_was_used_least_recently(archive: Archive) -> None:
    entries = [await archive.append(5) for _ in range(3)]
    footers = [await archive.segments.footer(entry) for entry in entries]
    cache = FooterCache(20)
    for entry, footer in zip(entries[:2], footers, strict=False):
        cache.put(entry.key, footer, 10)
    assert cache.get(entries[0].key) is footers[0]
    cache.put(entries[2].key, footers[2], 10)
    assert [cache.get(entry.key) is not None for entry in entries] == [True, False, True]
