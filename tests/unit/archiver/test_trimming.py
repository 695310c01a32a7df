"""How far a partition may be trimmed: proved, needed by nobody, and old enough."""

from __future__ import annotations

import msgspec
import pytest

from everlog.archive.manifest import Manifest, ManifestEntry, append_segment, first_manifest
from everlog.archiver.trimming import trim_offset
from everlog.ports.log import LogIdentity

ALWAYS_MS = 1 << 60


def entry(
    first: int, following: int, *, until_ms: int = 0, sessions: str = "a", rows: int | None = None
) -> ManifestEntry:
    return ManifestEntry(
        key=f"{first}-{following}-{sessions}", level=0, first=first, next=following,
        rows=following - first if rows is None else rows, sessions=1, bytes=1, sha256="", digest64=0,
        min_session=sessions, max_session=sessions, min_timestamp=0, max_timestamp=until_ms, footer_offset=0,
        footer_length=0, footer_xxh3=0, writer_epoch=1, read_back_at=0,
    )  # fmt: skip


def manifest(*entries: ManifestEntry, proved: int) -> Manifest:
    empty = first_manifest(LogIdentity("c", "t", 0, 1), 0)
    for one in entries:
        empty = append_segment(empty, one)
    return msgspec.structs.replace(empty, trim_ok_offset=proved)


THREE = (entry(0, 10, until_ms=100), entry(10, 20, until_ms=200), entry(20, 30, until_ms=300))


@pytest.mark.parametrize(("proved", "offset"), [(0, 0), (10, 10), (20, 20), (30, 30)])
def test_only_what_is_proved_may_go(proved: int, offset: int) -> None:
    assert trim_offset(manifest(*THREE, proved=proved), [100], ALWAYS_MS) == offset


@pytest.mark.parametrize(
    ("watermarks", "offset"), [([9], 0), ([10], 10), ([19], 10), ([30], 30), ([30, 10], 10), ([30, 31], 30)]
)
def test_only_what_every_generation_has_folded_may_go(watermarks: list[int], offset: int) -> None:
    assert trim_offset(manifest(*THREE, proved=30), watermarks, ALWAYS_MS) == offset


@pytest.mark.parametrize("watermarks", [[None], [30, None], [None, 30]])
def test_an_unknown_watermark_forbids_trimming(watermarks: list[int | None]) -> None:
    assert trim_offset(manifest(*THREE, proved=30), watermarks, ALWAYS_MS) == 0


@pytest.mark.parametrize(("youngest_ms", "offset"), [(100, 0), (101, 10), (200, 10), (300, 20), (301, 30)])
def test_only_segments_wholly_older_than_the_window_may_go(youngest_ms: int, offset: int) -> None:
    assert trim_offset(manifest(*THREE, proved=30), [30], youngest_ms) == offset


def test_a_later_segment_that_is_older_waits_for_the_ones_before_it() -> None:
    segments = (entry(0, 10, until_ms=100), entry(10, 20, until_ms=900), entry(20, 30, until_ms=100))
    assert trim_offset(manifest(*segments, proved=30), [30], 500) == 10


def test_one_young_part_of_an_interval_keeps_all_of_it() -> None:
    parts = (entry(10, 20, rows=4, sessions="a"), entry(10, 20, rows=6, sessions="b", until_ms=900))
    before = manifest(THREE[0], proved=10)
    merged = msgspec.structs.replace(before, segments=(*before.segments, *parts), next_offset=20, trim_ok_offset=20)
    assert trim_offset(merged, [20], 500) == 10
    assert trim_offset(merged, [20], 901) == 20


def test_nothing_archived_is_nothing_to_trim() -> None:
    assert trim_offset(manifest(proved=0), [30], ALWAYS_MS) == 0
