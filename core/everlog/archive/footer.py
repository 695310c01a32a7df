"""A segment's footer: what it tells of itself, and where in it the rows of one session lie.

Parquet's own checksums cover the pages only. So the footer also holds an xxh3-64 of each row group's bytes, and the
manifest an xxh3-64 of the footer: a lookup proves every byte that it uses, without reading the whole object.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from xxhash import xxh3_64_intdigest

from everlog.archive.digest import Digest
from everlog.schemas.errors import ArchiveDamagedError

SEGMENT_FORMAT = 1
"""Number of the format of segments: a reader refuses a higher one."""

FOOTER_KEY = b"everlog.segment"
"""Name of our entry in Parquet's key-value metadata."""

PARQUET_TAIL = 8
"""Bytes behind Parquet's metadata: its length (u32) and the magic."""

DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError, IndexError, KeyError)
"""What pyarrow and the standard library raise for bytes that are not what they should be."""


class GroupBytes(NamedTuple):
    """Where a row group lies in the object, and the xxh3-64 of those bytes."""

    offset: int
    length: int
    xxh3: int


class SegmentMeta(msgspec.Struct, frozen=True, kw_only=True):
    """Our entry in the footer: the interval ``[first, next)``, count and digest of the rows, their row groups.

    ``whole`` is False for one of several objects that share an interval, split at session boundaries.
    """

    format: int = SEGMENT_FORMAT
    era: int
    partition: int
    first: int
    next: int
    count: int
    digest64: int
    whole: bool = True
    groups: tuple[GroupBytes, ...]

    @property
    def digest(self) -> Digest:
        """Count and digest together."""
        return Digest(self.count, self.digest64)


class GroupRange(NamedTuple):
    """The adjacent row groups ``[first, last]`` and the one range of bytes that they lie in."""

    first: int
    last: int
    offset: int
    length: int


class _GroupStatistics(NamedTuple):
    min_session: str
    max_session: str
    min_offset: int
    max_offset: int

    @property
    def one_session(self) -> bool:
        return self.min_session == self.max_session


class SegmentFooter:
    """A parsed footer. Immutable, small and worth caching."""

    def __init__(self, meta: SegmentMeta, parquet: pq.FileMetaData) -> None:
        self.meta = meta
        self.parquet = parquet
        self._groups = [_statistics(parquet.row_group(number)) for number in range(parquet.num_row_groups)]
        self._mins = [group.min_session for group in self._groups]
        self._maxs = [group.max_session for group in self._groups]

    @classmethod
    def from_bytes(cls, tail: bytes, *, xxh3: int) -> SegmentFooter:
        """Prove and parse the last bytes of an object, from its footer offset on; ``xxh3`` is the manifest's.

        Raises ``ArchiveDamagedError``.
        """
        if xxh3_64_intdigest(tail) != xxh3:
            raise ArchiveDamagedError("a segment's footer is not the one that its manifest names")
        return cls.from_proved_bytes(tail)

    @classmethod
    def from_proved_bytes(cls, tail: bytes) -> SegmentFooter:
        """Parse a footer, or a whole object, whose bytes were proved already. Raises ``ArchiveDamagedError``.

        Never anything else: pyarrow does not only raise on a damaged footer, it may end the process.
        """
        try:
            parquet = pq.read_metadata(pa.BufferReader(tail))
            meta = msgspec.json.decode((parquet.metadata or {})[FOOTER_KEY], type=SegmentMeta)
            footer = cls(meta, parquet)
        except (*DAMAGE, msgspec.MsgspecError, AttributeError) as error:
            raise ArchiveDamagedError(f"a segment's footer cannot be read: {error}") from error
        if meta.format > SEGMENT_FORMAT:
            raise ArchiveDamagedError(
                f"a segment has format {meta.format}, this code reads up to {SEGMENT_FORMAT}", hint="Upgrade Everlog"
            )
        if len(meta.groups) != parquet.num_row_groups or meta.count != parquet.num_rows:
            raise ArchiveDamagedError("a segment's footer contradicts itself")
        return footer

    def locate(self, session_key: str, first: int = 0, until: int | None = None) -> GroupRange | None:
        """The row groups that may hold the session's rows of the offsets ``[first, until)``; None = surely none.

        Groups that hold nothing but this session are left out by their offsets: a page of a very long session
        needs only the groups that it lies in.
        """
        left = bisect_left(self._maxs, session_key)
        right = bisect_right(self._mins, session_key) - 1
        if left > right:
            return None
        groups = self._groups
        while left < right and groups[left + 1].one_session and groups[left + 1].min_offset <= first:
            left += 1
        if until is not None:
            while left < right and groups[right - 1].one_session and groups[right - 1].max_offset >= until - 1:
                right -= 1
        start, end = self.meta.groups[left], self.meta.groups[right]
        return GroupRange(left, right, start.offset, end.offset + end.length - start.offset)

    def check_groups(self, groups: GroupRange, data: bytes | memoryview) -> None:
        """Prove the bytes ``data`` of these row groups. Raises ``ArchiveDamagedError``, names the row group."""
        view = memoryview(data)
        if len(view) != groups.length:
            raise ArchiveDamagedError(f"{len(view)} bytes of a segment were read where {groups.length} belong")
        for number in range(groups.first, groups.last + 1):
            group = self.meta.groups[number]
            start = group.offset - groups.offset
            if xxh3_64_intdigest(view[start : start + group.length]) != group.xxh3:
                raise ArchiveDamagedError(f"row group {number} of a segment has other bytes than were written")

    def all_groups(self) -> GroupRange:
        """All row groups and the range of bytes that they lie in."""
        start, end = self.meta.groups[0], self.meta.groups[-1]
        return GroupRange(0, len(self.meta.groups) - 1, start.offset, end.offset + end.length - start.offset)


def _statistics(group: pq.RowGroupMetaData) -> _GroupStatistics:
    sessions, offsets = group.column(0).statistics, group.column(1).statistics
    if sessions is None or offsets is None:
        raise ValueError("a row group has no statistics")
    min_session, max_session, min_offset, max_offset = sessions.min, sessions.max, offsets.min, offsets.max
    if not (isinstance(min_session, str) and isinstance(max_session, str)):
        raise ValueError("a row group has no statistics of its session keys")
    if not (isinstance(min_offset, int) and isinstance(max_offset, int)):
        raise ValueError("a row group has no statistics of its offsets")
    return _GroupStatistics(min_session, max_session, min_offset, max_offset)
