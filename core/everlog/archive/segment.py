"""Segments: one Parquet object with the raw records of an interval of offsets.

zstd-3; rows sorted by (session key, offset), so one session is one range of bytes; row groups small enough that the
range is about 1 MB; statistics on session key, offset and timestamp only, because those on payload columns leak content
and bloat the footer; page checksums for every other reader of the same files.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from xxhash import xxh3_64_intdigest

from everlog.archive.bloom import build_bloom
from everlog.archive.digest import Digest
from everlog.archive.footer import DAMAGE, FOOTER_KEY, PARQUET_TAIL, GroupBytes, SegmentFooter, SegmentMeta
from everlog.archive.rows import (
    PROMOTED_TEXTS,
    SCHEMA,
    RawRow,
    digest_of,
    raw_rows,
    record_of,
    session_key_of,
    table_of,
)
from everlog.ports.log import LogRecord, Record
from everlog.schemas.errors import ArchiveDamagedError, IntegrityError

GROUP_ROWS = 8_192
"""Most rows of a row group: about 1 MB compressed, the knee between bytes fetched and requests (measured)."""

GROUP_RAW_BYTES = 4 << 20
"""A row group ends at so many raw bytes, whatever its rows."""

PAGE_BYTES = 8 << 20
"""Larger than any ordinary column of a row group: one page each, which compresses best (0.161 against 0.166)."""

COMPRESSION_LEVEL = 3
"""zstd level: 6 saves another 6 % and takes three times as long."""


class EncodedSegment(NamedTuple):
    """A segment's bytes and what its manifest entry says of them.

    ``sessions`` counts session keys; the session keys' minimum and maximum are "" where it is 0.
    Timestamps are milliseconds since 1970.
    """

    data: bytes
    sha256: str
    first: int
    next: int
    rows: int
    sessions: int
    digest: Digest
    min_session: str
    max_session: str
    min_timestamp: int
    max_timestamp: int
    footer_offset: int
    footer_length: int
    footer_xxh3: int
    bloom: bytes


def encode_segment(records: Sequence[LogRecord], *, era: int) -> EncodedSegment:
    """The segment of at least one record, in offset order without a hole.

    Its digest is computed from the table: compare it with the one kept from the wire. Raises ``IntegrityError`` for a
    hole, which must stop the archiver.
    """
    first = records[0].offset
    for expected, record in enumerate(records, first):
        if record.offset != expected:
            raise IntegrityError(
                f"partition {record.partition} has offset {record.offset} where {expected} belongs",
                hint="Offsets must be dense: no transactions and no compaction on the topic",
            )
    return encode_table(
        table_of(records), era=era, partition=records[0].partition, first=first, next_=first + len(records)
    )


def encode_table(
    table: pa.Table, *, era: int, partition: int, first: int, next_: int, whole: bool = True
) -> EncodedSegment:
    """The segment of a table with the columns of ``SCHEMA``, sorted by (session key, offset).

    ``whole`` is False for one of several segments that share the interval.
    """
    rows = list(raw_rows(table))
    digest = digest_of(rows)
    sink = io.BytesIO()
    with _writer(sink) as writer:
        groups = tuple(_write_groups(writer, sink, table, rows))
        meta = SegmentMeta(
            era=era, partition=partition, first=first, next=next_, count=digest.count, digest64=digest.total,
            whole=whole, groups=groups,
        )  # fmt: skip
        writer.add_key_value_metadata({FOOTER_KEY.decode(): msgspec.json.encode(meta).decode()})
    return _describe(sink.getvalue(), rows, digest, first, next_)


def _writer(sink: io.BytesIO) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        sink,
        SCHEMA,
        compression="zstd",
        compression_level=COMPRESSION_LEVEL,
        use_dictionary=["session_key", *PROMOTED_TEXTS],  # type: ignore[arg-type]  # the stubs know only bool
        column_encoding={
            "offset": "DELTA_BINARY_PACKED",
            "timestamp": "DELTA_BINARY_PACKED",
            "value": "DELTA_LENGTH_BYTE_ARRAY",
        },
        write_statistics=["session_key", "offset", "timestamp"],
        write_page_checksum=True,
        data_page_size=PAGE_BYTES,
        store_schema=False,
    )


def _write_groups(
    writer: pq.ParquetWriter, sink: io.BytesIO, table: pa.Table, rows: Sequence[RawRow]
) -> Iterator[GroupBytes]:
    for start, end in _group_bounds(rows):
        before = sink.tell() or len(b"PAR1")
        writer.write_table(table.slice(start, end - start), row_group_size=GROUP_ROWS)
        after = sink.tell()
        with sink.getbuffer() as written:
            yield GroupBytes(before, after - before, xxh3_64_intdigest(written[before:after]))


def _group_bounds(rows: Sequence[RawRow]) -> Iterator[tuple[int, int]]:
    start = raw_bytes = 0
    for number, row in enumerate(rows):
        size = len(row.key or b"") + len(row.value or b"") + len(row.headers)
        if number > start and (number - start == GROUP_ROWS or raw_bytes + size > GROUP_RAW_BYTES):
            yield start, number
            start, raw_bytes = number, 0
        raw_bytes += size
    yield start, len(rows)


def _describe(data: bytes, rows: Sequence[RawRow], digest: Digest, first: int, next_: int) -> EncodedSegment:
    sessions = {row.session_key for row in rows} - {""}
    timestamps = [row.timestamp for row in rows]
    footer_length = int.from_bytes(data[-PARQUET_TAIL : -PARQUET_TAIL + 4], "little") + PARQUET_TAIL
    return EncodedSegment(
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        first=first,
        next=next_,
        rows=len(rows),
        sessions=len(sessions),
        digest=digest,
        min_session=min(sessions, default=""),
        max_session=max(sessions, default=""),
        min_timestamp=min(timestamps),
        max_timestamp=max(timestamps),
        footer_offset=len(data) - footer_length,
        footer_length=footer_length,
        footer_xxh3=xxh3_64_intdigest(data[-footer_length:]),
        bloom=build_bloom(sessions),
    )


class Segment:
    """A decoded and proved segment: ``table`` has all columns of ``SCHEMA``, sorted by (session key, offset)."""

    def __init__(self, meta: SegmentMeta, table: pa.Table, rows: Sequence[RawRow]) -> None:
        self.meta = meta
        self.table = table
        self._rows = rows

    def records(self) -> list[Record]:
        """The records in the order of their offsets."""
        in_order = sorted(self._rows, key=lambda row: row.offset)
        return [record_of(row, self.meta.partition) for row in in_order]


def decode_segment(data: bytes, *, sha256: str) -> Segment:
    """Decode and prove a whole object: sha256, row groups, page checksums, order, density, count, digest.

    The sha256 comes first because pyarrow may end the process on damaged bytes. Raises ``ArchiveDamagedError``, which
    names what fails.
    """
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ArchiveDamagedError("a segment's sha256 is not the one that was written")
    footer = SegmentFooter.from_proved_bytes(data)
    groups = footer.all_groups()
    footer.check_groups(groups, memoryview(data)[groups.offset : groups.offset + groups.length])
    try:
        with pq.ParquetFile(
            pa.BufferReader(data), metadata=footer.parquet, page_checksum_verification=True, pre_buffer=False
        ) as file:
            table = file.read(use_threads=False)
        if not table.schema.equals(SCHEMA):
            raise ArchiveDamagedError("a segment has other columns than its format says")
        rows = list(raw_rows(table))
    except DAMAGE as error:
        raise ArchiveDamagedError(f"a segment cannot be decoded: {error}") from error
    _check_rows(footer.meta, table, rows)
    return Segment(footer.meta, table, rows)


def _check_rows(meta: SegmentMeta, table: pa.Table, rows: Sequence[RawRow]) -> None:
    previous = ("", -1)
    for row in rows:
        position = (row.session_key, row.offset)
        if position <= previous:
            raise ArchiveDamagedError(f"a segment's rows are out of order at offset {row.offset}")
        previous = position
    offsets = {row.offset for row in rows}
    if len(offsets) != len(rows) or min(offsets) < meta.first or max(offsets) >= meta.next:
        raise ArchiveDamagedError(f"a segment's offsets are not those of [{meta.first}, {meta.next})")
    if meta.whole and len(rows) != meta.next - meta.first:
        raise ArchiveDamagedError(f"a segment of [{meta.first}, {meta.next}) has a hole: {len(rows)} rows")
    if digest_of(rows) != meta.digest:
        raise ArchiveDamagedError("a segment's records have another digest than its footer says")
    _check_keys(table, rows)


def _check_keys(table: pa.Table, rows: Sequence[RawRow]) -> None:
    # A key that is stored beside a session key would be ignored, and a wrong session key would hide a record.
    redundant = pc.and_(pc.not_equal(table["session_key"], pa.scalar("")), pc.is_valid(table["key"]))
    if pc.any(redundant).as_py() or any(session_key_of(row.key) != row.session_key for row in rows):
        raise ArchiveDamagedError("a segment's rows lie under other sessions than their keys say")
