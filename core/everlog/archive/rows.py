"""Records as rows of an Arrow table, sorted by (session key, offset), and back, byte for byte.

| column | |
| --- | --- |
| session_key | `tenant/session`; "" for a record that belongs to no session |
| offset, timestamp | of the log; the timestamp is the broker's |
| key | null if there is a session key, for that *is* the raw key then; else the raw key, null or bytes |
| value, headers | raw; headers as ``everlog.archive.headers`` encodes them |
| type ... cost_micros | promoted from the value, see ``everlog.archive.promoted``; derived, not part of the digest |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import pyarrow as pa

from everlog.archive.digest import Digest, record_digest
from everlog.archive.headers import decode_headers, encode_headers
from everlog.archive.promoted import Promoted, promote
from everlog.ports.log import LogRecord, Record

SESSION_KEY_LIMIT = 1_024
"""Longest session key, bytes: four times two ids of 128; a longer key would lose its Parquet statistics."""

_RAW_FIELDS: list[pa.Field[Any]] = [
    pa.field("session_key", pa.string(), nullable=False),
    pa.field("offset", pa.int64(), nullable=False),
    pa.field("timestamp", pa.timestamp("ms", "UTC"), nullable=False),
    pa.field("key", pa.binary()),
    pa.field("value", pa.binary()),
    pa.field("headers", pa.binary(), nullable=False),
]

RAW_SCHEMA = pa.schema(_RAW_FIELDS)
"""The columns that a record is rebuilt from."""

PROMOTED_TEXTS = ("type", "actor", "run", "role", "tool_name")
_PROMOTED_NUMBERS = ("input_tokens", "output_tokens", "cost_micros")

SCHEMA = pa.schema(
    [
        *_RAW_FIELDS,
        *(pa.field(name, pa.string()) for name in PROMOTED_TEXTS),
        *(pa.field(name, pa.int64()) for name in _PROMOTED_NUMBERS),
    ]
)
"""All columns of a segment."""


class RawRow(NamedTuple):
    """One row without its promoted columns; ``key`` is the record's raw key again."""

    session_key: str
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: bytes


def session_key_of(key: bytes | None) -> str:
    """The session that a raw key names, "" if it is not UTF-8 `tenant/session` and so belongs to none."""
    if key is None or len(key) > SESSION_KEY_LIMIT:
        return ""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return ""
    tenant, slash, session = text.partition("/")
    return text if tenant and slash and session and "/" not in session else ""


def table_of(records: Sequence[LogRecord]) -> pa.Table:
    """The table of records that come in offset order, sorted by (session key, offset)."""
    known: dict[bytes | None, str] = {}
    keyed: list[tuple[str, LogRecord]] = []
    for record in records:
        session_key = known.get(record.key)
        if session_key is None:
            session_key = known[record.key] = session_key_of(record.key)
        keyed.append((session_key, record))
    keyed.sort(key=itemgetter(0))  # stable: offsets stay in order within a session
    columns = [*_raw_columns(keyed), *_promoted_columns(keyed)]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _raw_columns(keyed: Sequence[tuple[str, LogRecord]]) -> list[pa.Array[Any]]:
    columns: list[list[object]] = [
        [session_key for session_key, _ in keyed],
        [record.offset for _, record in keyed],
        [record.timestamp for _, record in keyed],
        [None if session_key else record.key for session_key, record in keyed],
        [record.value for _, record in keyed],
        [encode_headers(record.headers) if record.headers else b"" for _, record in keyed],
    ]
    return [pa.array(column, field.type) for column, field in zip(columns, RAW_SCHEMA, strict=True)]


def _promoted_columns(keyed: Sequence[tuple[str, LogRecord]]) -> list[pa.Array[Any]]:
    columns = zip(*(promote(record.value) for _, record in keyed), strict=True)
    types = [SCHEMA.field(name).type for name in Promoted._fields]
    return [pa.array(column, type_) for column, type_ in zip(columns, types, strict=True)]


def raw_rows(table: pa.Table) -> Iterator[RawRow]:
    """The rows of a table that has at least the columns of ``RAW_SCHEMA``, in the table's order."""
    table = table.select(RAW_SCHEMA.names).cast(_INTEGER_TIMESTAMP)
    for session_key, offset, timestamp, key, value, headers in zip(
        *(column.to_pylist() for column in table.columns), strict=True
    ):
        raw_key = session_key.encode() if session_key else key
        yield RawRow(session_key, offset, timestamp, raw_key, value, headers)


_INTEGER_TIMESTAMP = RAW_SCHEMA.set(2, pa.field("timestamp", pa.int64(), nullable=False))


def record_of(row: RawRow, partition: int) -> Record:
    """The record that a row was made from."""
    headers = decode_headers(row.headers) if row.headers else ()
    return Record(partition, row.offset, row.timestamp, row.key, row.value, headers)


def digest_of(rows: Sequence[RawRow]) -> Digest:
    """The digest of the records that these rows were made from."""
    total = sum(record_digest(row.offset, row.timestamp, row.key, row.headers, row.value) for row in rows)
    return Digest(len(rows), total)
