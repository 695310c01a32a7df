"""The rows of one session from one range of a segment's bytes: no other byte of the object is needed."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from everlog.archive.footer import DAMAGE, GroupRange, SegmentFooter
from everlog.archive.rows import RAW_SCHEMA, raw_rows, record_of
from everlog.ports.log import Record
from everlog.schemas.errors import ArchiveDamagedError


def read_groups(footer: SegmentFooter, groups: GroupRange, data: bytes, columns: list[str] | None = None) -> pa.Table:
    """Decode row groups from their range of bytes (proved first); ``columns`` None means the raw ones.

    Raises ``ArchiveDamagedError``.
    """
    footer.check_groups(groups, data)
    names = RAW_SCHEMA.names if columns is None else columns
    try:
        window = pa.PythonFile(_Window(groups.offset, data), mode="r")
        with pq.ParquetFile(window, metadata=footer.parquet, page_checksum_verification=True, pre_buffer=False) as file:
            numbers = list(range(groups.first, groups.last + 1))
            return file.read_row_groups(numbers, columns=names, use_threads=False)
    except DAMAGE as error:
        raise ArchiveDamagedError(f"row groups of a segment cannot be decoded: {error}") from error


def read_session_rows(
    footer: SegmentFooter,
    groups: GroupRange,
    data: bytes,
    session_key: str,
    first: int = 0,
    until: int | None = None,
) -> list[Record]:
    """The session's records of the offsets ``[first, until)`` in offset order, from the bytes of ``locate``'s range."""
    table = read_groups(footer, groups, data)
    table = table.filter(pc.equal(table["session_key"], pa.scalar(session_key)))
    end = footer.meta.next if until is None else until
    return [record_of(row, footer.meta.partition) for row in raw_rows(table) if first <= row.offset < end]


class _Window(io.RawIOBase):
    """A range of bytes that reads as if it were a whole file."""

    def __init__(self, offset: int, data: bytes) -> None:
        self._start = self._at = offset
        self._data = memoryview(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._start + len(self._data)}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        start = self._at - self._start
        if start < 0:
            raise OSError(f"byte {self._at} lies before the range that was fetched")
        piece = self._data[start:] if size < 0 else self._data[start : start + size]
        self._at += len(piece)
        return bytes(piece)
