from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlog.archive.codec import (
    decode_head,
    decode_manifest,
    encode_head,
    encode_manifest,
    encoded,
    join_blooms,
    split_blooms,
)
from everlog.archive.layout import PartitionLayout
from everlog.archive.manifest import (
    Head,
    Manifest,
    ManifestEntry,
    append_segment,
    check_identity,
    check_tiling,
    entry_of,
    first_manifest,
    prove,
    successor,
    takeover,
)
from everlog.archive.segment import encode_segment
from everlog.ports.log import LogIdentity, Record
from everlog.schemas.errors import ArchiveDamagedError, IntegrityError, LogLostError

IDENTITY = LogIdentity("cluster-1", "everlog.events.1", 1, 32)
HEAD = Head(epoch=3, seq=8, manifest="m/8", sha256="ab" * 32, writer="w1")


def entry(first: int, next_: int, **changed: object) -> ManifestEntry:
    segment = encode_segment([Record(17, 0, 5, b"a/1", b"{}")], era=1)._replace(
        first=first, next=next_, rows=next_ - first
    )
    made = entry_of(segment, key=f"s/{first}-{next_}", level=0, writer_epoch=1, read_back_at=1000)
    return msgspec.structs.replace(made, **changed)


def archived(*bounds: int) -> Manifest:
    manifest = first_manifest(IDENTITY, 17)
    for first, next_ in itertools.pairwise(bounds):
        manifest = append_segment(manifest, entry(first, next_))
    return manifest


def test_keys_are_those_of_the_format() -> None:
    layout = PartitionLayout("root", 2, 17)
    sha = "0123456789abcdef" * 4
    assert layout.head == "root/everlog.events/era-2/p=00017/HEAD"
    assert layout.manifest(5, sha) == "root/everlog.events/era-2/p=00017/m/5-0123456789ab.json.zst"
    assert layout.segment(1, 0, 800, sha) == "root/everlog.events/era-2/p=00017/s/L1/0-800-0123456789ab.parquet"
    assert layout.bloom(5, sha) == "root/everlog.events/era-2/p=00017/b/5-0123456789ab.bloom"
    assert PartitionLayout("", 1, 0).head == "everlog.events/era-1/p=00000/HEAD"
    assert PartitionLayout("/a/b/", 1, 0).head == "a/b/everlog.events/era-1/p=00000/HEAD"


@given(st.lists(st.integers(1, 50), max_size=8))
def test_any_chain_of_dense_segments_tiles_and_comes_back(sizes: list[int]) -> None:
    bounds = [0]
    for size in sizes:
        bounds.append(bounds[-1] + size)
    manifest = archived(*bounds)
    check_tiling(manifest)
    assert manifest.next_offset == bounds[-1]
    data, sha256 = encode_manifest(manifest)
    assert decode_manifest(data, sha256=sha256) == manifest
    assert encode_manifest(manifest).data == data


@pytest.mark.parametrize("first", [0, 9, 11])
def test_a_segment_that_does_not_begin_at_the_end_is_refused(first: int) -> None:
    with pytest.raises(IntegrityError, match="cannot follow"):
        append_segment(archived(0, 10), entry(first, 20))


@pytest.mark.parametrize("rows", [0, 9, 11])
def test_a_segment_that_is_not_dense_is_refused(rows: int) -> None:
    with pytest.raises(IntegrityError, match="dense"):
        append_segment(archived(0, 10), entry(10, 20, rows=rows))


def test_a_proof_moves_the_offset_up_to_which_the_log_may_be_trimmed() -> None:
    manifest = prove(archived(0, 10, 20, 30), 20, 5000)
    assert manifest.trim_ok_offset == 20
    assert [segment.proved_at for segment in manifest.segments] == [5000, 5000, None]
    later = prove(manifest, 30, 6000)
    assert [segment.proved_at for segment in later.segments] == [5000, 5000, 6000]


@pytest.mark.parametrize("upto", [0, 10, 25, 40])
def test_a_proof_goes_forward_to_the_end_of_a_segment_or_is_refused(upto: int) -> None:
    with pytest.raises(IntegrityError):
        prove(prove(archived(0, 10, 20, 30), 20, 5000), upto, 6000)


@pytest.mark.parametrize(
    "segments",
    [
        (entry(0, 10), entry(20, 30)),
        (entry(0, 10), entry(5, 30)),
        (entry(10, 30),),
        (entry(0, 20),),
        (entry(0, 20), entry(20, 30, rows=9)),
        (entry(0, 20), entry(20, 30), entry(30, 30)),
        (entry(20, 30), entry(0, 20)),
    ],
    ids=["hole", "overlap", "no beginning", "no end", "missing row", "empty", "out of order"],
)
def test_segments_that_do_not_tile_are_detected(segments: tuple[ManifestEntry, ...]) -> None:
    manifest = msgspec.structs.replace(archived(0, 20, 30), segments=segments)
    with pytest.raises(IntegrityError, match="partition 17"):
        check_tiling(manifest)


def test_parts_of_one_interval_tile_if_their_sessions_ascend_and_their_rows_add_up() -> None:
    low = entry(0, 20, rows=12, min_session="a/1", max_session="c/1")
    high = entry(0, 20, rows=8, min_session="c/2", max_session="z/1")
    manifest = archived(0, 20)
    check_tiling(msgspec.structs.replace(manifest, segments=(low, high)))
    for wrong in [(high, low), (low,), (low, msgspec.structs.replace(high, min_session="b/1"))]:
        with pytest.raises(IntegrityError):
            check_tiling(msgspec.structs.replace(manifest, segments=wrong))


def test_trimming_beyond_the_archives_end_is_detected() -> None:
    with pytest.raises(IntegrityError, match="trimming"):
        check_tiling(msgspec.structs.replace(archived(0, 20), trim_ok_offset=21))


@pytest.mark.parametrize(
    "other",
    [
        IDENTITY._replace(cluster_id="cluster-2"),
        IDENTITY._replace(partitions=64),
        IDENTITY._replace(topic="everlog.events.2"),
        IDENTITY._replace(era=2),
    ],
)
def test_another_log_is_refused_with_what_to_do(other: LogIdentity) -> None:
    check_identity(archived(0, 10), IDENTITY)
    with pytest.raises(LogLostError, match="everlog archive adopt --new-era"):
        check_identity(archived(0, 10), other)


def test_a_takeover_raises_the_epoch_and_keeps_the_manifest() -> None:
    taken = takeover(HEAD, "w2")
    assert (taken.epoch, taken.writer) == (4, "w2")
    assert (taken.seq, taken.manifest, taken.sha256) == (HEAD.seq, HEAD.manifest, HEAD.sha256)


def test_a_successor_names_the_manifest_before_it() -> None:
    manifest = successor(archived(0, 10), HEAD)
    assert (manifest.seq, manifest.epoch) == (9, 3)
    assert (manifest.previous, manifest.previous_sha256) == (HEAD.manifest, HEAD.sha256)


def test_head_comes_back_and_a_damaged_one_is_detected() -> None:
    data = encode_head(HEAD)
    assert decode_head(data) == HEAD
    for damaged in [data[:-1], b"", b"\xff", data.replace(b'"epoch":3', b'"epoch":"3"')]:
        with pytest.raises(ArchiveDamagedError):
            decode_head(damaged)


def test_a_newer_format_is_refused() -> None:
    newer = msgspec.structs.replace(HEAD, format=2)
    with pytest.raises(ArchiveDamagedError, match="Upgrade"):
        decode_head(encode_head(newer))


def test_a_damaged_byte_of_a_manifest_is_detected() -> None:
    data, sha256 = encode_manifest(archived(0, 10, 20))
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(ArchiveDamagedError, match="sha256"):
            decode_manifest(damaged, sha256=sha256)


def test_bytes_that_are_no_manifest_are_refused_even_with_their_right_sha256() -> None:
    with pytest.raises(ArchiveDamagedError, match="decompressed"):
        decode_manifest(b"no zstd", sha256=encoded(b"no zstd").sha256)


def test_blooms_come_back_from_their_slices() -> None:
    manifest = archived(0, 10, 20, 30)
    blooms = {segment.key: f"bloom of {segment.key}".encode() for segment in manifest.segments}
    sliced, data = join_blooms(manifest, {**blooms, "s/old": b"no longer live"})
    assert split_blooms(sliced, data) == blooms
    with pytest.raises(ArchiveDamagedError):
        split_blooms(sliced, data[:-1])
