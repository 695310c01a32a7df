from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everlog.archive.bloom import may_contain
from everlog.archive.digest import Digest
from everlog.archive.footer import SegmentFooter
from everlog.archive.lookup import read_session_rows
from everlog.archive.rows import session_key_of, table_of
from everlog.archive.segment import GROUP_ROWS, EncodedSegment, decode_segment, encode_segment, encode_table
from everlog.ports.log import Headers, Record
from everlog.schemas.errors import ArchiveDamagedError, IntegrityError

Chat = Callable[..., list[Record]]

keys = st.none() | st.binary(max_size=6) | st.sampled_from([b"a/b", b"a/c", b"z/1", "ü/\U0001f600".encode(), b"a/b/c"])
headers = st.lists(st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=3)), max_size=2).map(tuple)
contents = st.lists(
    st.tuples(st.integers(-1, 2**45), keys, st.none() | st.binary(max_size=30), headers), min_size=1, max_size=20
)


Row = tuple[int, bytes | None, bytes | None, Headers]


def numbered(rows: list[Row], first: int) -> list[Record]:
    return [Record(5, first + at, *row) for at, row in enumerate(rows)]


def parsed(segment: EncodedSegment) -> SegmentFooter:
    return SegmentFooter.from_bytes(segment.data[segment.footer_offset :], xxh3=segment.footer_xxh3)


def look_up(segment: EncodedSegment, session_key: str, first: int = 0, until: int | None = None) -> list[Record]:
    footer = parsed(segment)
    groups = footer.locate(session_key, first, until)
    if groups is None:
        return []
    data = segment.data[groups.offset : groups.offset + groups.length]
    return read_session_rows(footer, groups, data, session_key, first, until)


@given(contents, st.integers(0, 2**62))
@settings(deadline=None)
def test_any_records_come_back_byte_for_byte_in_offset_order(rows: list[Row], first: int) -> None:
    records = numbered(rows, first)
    segment = encode_segment(records, era=1)
    decoded = decode_segment(segment.data, sha256=segment.sha256)
    assert decoded.records() == records
    wire = Digest()
    wire.add_all(records)
    assert segment.digest == wire == decoded.meta.digest


@given(contents)
@settings(deadline=None)
def test_a_lookup_finds_exactly_the_sessions_records(rows: list[Row]) -> None:
    records = numbered(rows, 100)
    segment = encode_segment(records, era=1)
    by_session: dict[str, list[Record]] = {}
    for record in records:
        by_session.setdefault(session_key_of(record.key), []).append(record)
    assert all(look_up(segment, session) == found for session, found in by_session.items())
    assert look_up(segment, "not/there") == []
    assert segment.sessions == len(by_session.keys() - {""})
    assert all(may_contain(segment.bloom, session) for session in by_session if session)


@pytest.mark.parametrize("key", [None, b"", b"a", b"/", b"a/", b"/b", b"a/b/c", b"\xff/b", b"a/" + b"b" * 1023])
def test_a_key_that_is_not_tenant_and_session_belongs_to_no_session(key: bytes | None) -> None:
    assert session_key_of(key) == ""


def test_a_segment_of_chat_takes_at_most_a_fifth_of_its_values(chat: Chat) -> None:
    records = chat(30_000)
    segment = encode_segment(records, era=1)
    values = sum(len(record.value or b"") for record in records)
    assert 380 < values / len(records) < 480
    assert len(segment.data) / values <= 0.20


def test_a_lookup_needs_only_the_row_groups_of_its_session(chat: Chat) -> None:
    records = chat(20_000, first=500)
    segment = encode_segment(records, era=1)
    footer = parsed(segment)
    assert footer.parquet.num_row_groups == 3
    sessions = Counter(record.key for record in records if record.key)
    for key in sorted(sessions)[::400]:
        groups = footer.locate(key.decode())
        assert groups is not None and groups.last - groups.first <= 1
        assert look_up(segment, key.decode()) == [record for record in records if record.key == key]


def test_a_page_of_a_very_long_session_needs_only_its_own_row_groups() -> None:
    records = [Record(0, at, at, b"a/1" if at % 50 else b"z/%d" % at, b"v%d" % at) for at in range(GROUP_ROWS * 4)]
    segment = encode_segment(records, era=1)
    footer = parsed(segment)
    first, until = 17_000, 18_000
    whole, page = footer.locate("a/1"), footer.locate("a/1", first, until)
    assert whole is not None and page is not None
    assert (whole.first, whole.last) == (0, 3)
    assert (page.first, page.last) == (2, 2)
    expected = [record for record in records[first:until] if record.key == b"a/1"]
    assert look_up(segment, "a/1", first, until) == expected


def test_a_row_group_ends_before_four_mebibytes_of_raw_bytes() -> None:
    records = [Record(0, at, 0, b"a/1", b"x" * (1 << 20)) for at in range(9)]
    footer = parsed(encode_segment(records, era=1))
    assert [footer.parquet.row_group(number).num_rows for number in range(3)] == [3, 3, 3]


def test_a_record_larger_than_a_row_group_has_one_of_its_own() -> None:
    records = [Record(0, at, 0, b"a/1", b"x" * (5 << 20)) for at in range(2)]
    segment = encode_segment(records, era=1)
    assert decode_segment(segment.data, sha256=segment.sha256).records() == records


def test_statistics_are_kept_of_session_key_offset_and_timestamp_only(chat: Chat) -> None:
    metadata = pq.read_metadata(io.BytesIO(encode_segment(chat(500), era=1).data))
    group = metadata.row_group(0)
    columns = [group.column(number) for number in range(metadata.num_columns)]
    assert {c.path_in_schema for c in columns if c.is_stats_set} == {"session_key", "offset", "timestamp"}


def test_any_parquet_reader_sees_the_promoted_columns(chat: Chat) -> None:
    records = chat(300)
    table = pq.read_table(io.BytesIO(encode_segment(records, era=1).data))
    assert table.num_rows == 300
    assert set(table["type"].to_pylist()) == {"everlog.message.appended.v1"}
    assert set(table["role"].to_pylist()) == {"user", "assistant"}
    assert pc.min(table["offset"]).as_py() == 0


def test_a_hole_in_the_offsets_is_refused() -> None:
    with pytest.raises(IntegrityError, match="offset 3 where 2 belongs"):
        encode_segment([Record(0, 1, 0, b"a/1", b""), Record(0, 3, 0, b"a/1", b"")], era=1)


@pytest.fixture(scope="module")
def small(chat: Chat) -> tuple[EncodedSegment, list[Record]]:
    records = chat(40, first=10, live=6)
    return encode_segment(records, era=1), records


def test_a_damaged_byte_anywhere_is_detected(small: tuple[EncodedSegment, list[Record]]) -> None:
    segment, _ = small
    for at in range(len(segment.data)):
        with pytest.raises(ArchiveDamagedError, match="sha256"):
            decode_segment(flipped(segment.data, at), sha256=segment.sha256)


def test_a_damaged_byte_that_a_lookup_uses_is_detected(small: tuple[EncodedSegment, list[Record]]) -> None:
    segment, records = small
    session = session_key_of(records[0].key)
    footer = parsed(segment)
    groups = footer.locate(session)
    assert groups is not None
    for at in range(groups.offset, groups.offset + groups.length):
        data = flipped(segment.data, at)[groups.offset : groups.offset + groups.length]
        with pytest.raises(ArchiveDamagedError, match="row group 0"):
            read_session_rows(footer, groups, data, session)
    for at in range(segment.footer_offset, len(segment.data)):
        with pytest.raises(ArchiveDamagedError, match="footer"):
            SegmentFooter.from_bytes(flipped(segment.data, at)[segment.footer_offset :], xxh3=segment.footer_xxh3)


def test_a_damaged_page_is_detected_by_any_parquet_reader(small: tuple[EncodedSegment, list[Record]]) -> None:
    segment, _ = small
    value = parsed(segment).parquet.row_group(0).column(4)
    middle = value.data_page_offset + value.total_compressed_size // 2
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(io.BytesIO(flipped(segment.data, middle)), page_checksum_verification=True)


@pytest.mark.parametrize("length", [0, 3, 12, 500, -1, -9])
def test_a_truncated_segment_is_detected(small: tuple[EncodedSegment, list[Record]], length: int) -> None:
    with pytest.raises(ArchiveDamagedError):
        decode_segment(small[0].data[:length], sha256=small[0].sha256)


def test_rows_that_contradict_their_footer_are_detected(chat: Chat) -> None:
    records = chat(50)
    table = table_of(records)
    wrong_interval = encode_table(table, era=1, partition=3, first=0, next_=51)
    with pytest.raises(ArchiveDamagedError, match="hole"):
        decode_segment(wrong_interval.data, sha256=wrong_interval.sha256)
    shifted = encode_table(table, era=1, partition=3, first=1, next_=51)
    with pytest.raises(ArchiveDamagedError, match="offsets"):
        decode_segment(shifted.data, sha256=shifted.sha256)
    unsorted = encode_table(table.sort_by("offset"), era=1, partition=3, first=0, next_=50)
    with pytest.raises(ArchiveDamagedError, match="out of order"):
        decode_segment(unsorted.data, sha256=unsorted.sha256)


def test_a_part_of_a_split_interval_need_not_be_dense(chat: Chat) -> None:
    table = table_of(chat(50))
    part = encode_table(table.slice(0, 20), era=1, partition=3, first=0, next_=50, whole=False)
    assert len(decode_segment(part.data, sha256=part.sha256).records()) == 20


def test_the_same_records_give_the_same_bytes(chat: Chat) -> None:
    records = chat(200)
    assert encode_segment(records, era=1) == encode_segment(records, era=1)
    assert encode_segment(records, era=1).sha256 == hashlib.sha256(encode_segment(records, era=1).data).hexdigest()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
