"""The additive digest: wire bytes, segment and merge must agree on it.

The digest of a set of records is the sum, modulo 2^64, of each record's xxh3-64 with its offset as the seed.
It does not depend on order, and sum(inputs) = output proves a merge. It proves against accident (bit rot,
a lost, doubled or swapped record); sha256 of objects and of the manifest chain proves against tampering.

What is hashed of a record, little endian: length of key (i32, -1 = null), of headers (u32), of value
(i32, -1 = null), timestamp (i64), then the three byte strings themselves. The lengths in front make it
unambiguous: no two different records hash the same bytes, and null is distinct from empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from xxhash import xxh3_64_intdigest

from everlog.archive.headers import encode_headers
from everlog.ports.log import LogRecord

_MASK = (1 << 64) - 1
_pack = Struct("<iIiq").pack


def record_digest(offset: int, timestamp: int, key: bytes | None, headers: bytes, value: bytes | None) -> int:
    """The 64-bit digest of one record; ``headers`` as ``encode_headers`` gives them."""
    lengths = _pack(-1 if key is None else len(key), len(headers), -1 if value is None else len(value), timestamp)
    return xxh3_64_intdigest(b"".join((lengths, key or b"", headers, value or b"")), offset)


class Digest:
    """Count and sum of the record digests of any set of records, added one by one or set by set."""

    __slots__ = ("count", "total")

    def __init__(self, count: int = 0, total: int = 0) -> None:
        self.count = count
        self.total = total & _MASK

    def add(self, record: LogRecord) -> None:
        """Add one record."""
        headers = encode_headers(record.headers) if record.headers else b""
        added = record_digest(record.offset, record.timestamp, record.key, headers, record.value)
        self.total = (self.total + added) & _MASK
        self.count += 1

    def add_all(self, records: Iterable[LogRecord]) -> None:
        """Add many records."""
        for record in records:
            self.add(record)

    def __add__(self, other: Digest) -> Digest:
        return Digest(self.count + other.count, self.total + other.total)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Digest):
            return NotImplemented
        return self.count == other.count and self.total == other.total

    __hash__ = None  # type: ignore[assignment]  # it is changed in place

    def __repr__(self) -> str:
        return f"Digest(count={self.count}, total={self.total:#018x})"
