"""Segments in the object store: write, read whole, look up one session by one range.

Decoding runs in a thread: it would hold the event loop for 10 ms (a row group) to a second (a whole segment).
"""

from __future__ import annotations

import asyncio

from everlog.adapters.archive.footers import FooterCache
from everlog.adapters.archive.manifests import put_named
from everlog.archive.codec import EncodedObject
from everlog.archive.footer import GroupRange, SegmentFooter, SegmentMeta
from everlog.archive.layout import PartitionLayout
from everlog.archive.lookup import read_session_rows
from everlog.archive.manifest import ManifestEntry
from everlog.archive.segment import EncodedSegment, Segment, decode_segment
from everlog.ports.log import Record
from everlog.ports.objects import ObjectStore
from everlog.schemas.errors import ArchiveDamagedError, NotFoundError


class SegmentStore:
    """Segments below ``root``, with a cache of footers. Every method raises ``UnavailableError``.

    Methods that read raise ``NotFoundError`` for a segment that is gone: a merge replaced it and the reader's manifest
    is older than the grace period, so it loads the newest one; and ``ArchiveDamagedError``, which names the object.
    """

    def __init__(self, objects: ObjectStore, root: str, *, footers: FooterCache | None = None) -> None:
        self._objects = objects
        self._root = root
        self._footers = footers or FooterCache()

    async def put(self, segment: EncodedSegment, *, era: int, partition: int, level: int) -> str:
        """Write a segment and return its key; one that is there already (a retry) is proved to be the same."""
        layout = PartitionLayout(self._root, era, partition)
        key = layout.segment(level, segment.first, segment.next, segment.sha256)
        await put_named(self._objects, key, EncodedObject(segment.data, segment.sha256))
        return key

    async def read(self, key: str, *, sha256: str) -> Segment:
        """Read, prove and decode a whole segment that has no entry yet: the read-back after ``put``."""
        stored = await self._objects.get(key)
        if stored is None:
            raise _gone(key)
        try:
            return await asyncio.to_thread(decode_segment, stored.data, sha256=sha256)
        except ArchiveDamagedError as error:
            raise _named(key, error) from error

    async def read_entry(self, entry: ManifestEntry) -> Segment:
        """Read, prove and decode a whole segment; it must be the one that its manifest entry describes."""
        segment = await self.read(entry.key, sha256=entry.sha256)
        _check_entry(entry, segment.meta)
        return segment

    async def footer(self, entry: ManifestEntry) -> SegmentFooter:
        """The proved footer of a segment, from memory or by one range GET."""
        footer = self._footers.get(entry.key)
        if footer is None:
            tail = await self._range(entry.key, entry.footer_offset, entry.footer_length)
            try:
                footer = SegmentFooter.from_bytes(tail, xxh3=entry.footer_xxh3)
            except ArchiveDamagedError as error:
                raise _named(entry.key, error) from error
            _check_entry(entry, footer.meta)
            self._footers.put(entry.key, footer, entry.footer_length)
        return footer

    async def read_session(
        self, entry: ManifestEntry, session_key: str, *, first: int = 0, until: int | None = None
    ) -> list[Record]:
        """The session's records of the offsets ``[first, until)`` in offset order: at most one range GET if warm."""
        footer = await self.footer(entry)
        groups = footer.locate(session_key, first, until)
        if groups is None:
            return []
        data = await self.read_groups(entry, groups)
        try:
            return await asyncio.to_thread(read_session_rows, footer, groups, data, session_key, first, until)
        except ArchiveDamagedError as error:
            raise _named(entry.key, error) from error

    async def read_groups(self, entry: ManifestEntry, groups: GroupRange) -> bytes:
        """The bytes of adjacent row groups, for ``everlog.archive.lookup``, which proves and decodes them."""
        return await self._range(entry.key, groups.offset, groups.length)

    async def _range(self, key: str, first: int, length: int) -> bytes:
        stored = await self._objects.get(key, first=first, length=length)
        if stored is None:
            raise _gone(key)
        return stored.data


def _check_entry(entry: ManifestEntry, meta: SegmentMeta) -> None:
    told = (meta.first, meta.next, meta.count, meta.digest64)
    if told != (entry.first, entry.next, entry.rows, entry.digest64):
        raise ArchiveDamagedError(f"{entry.key} holds another segment than its manifest says")


def _gone(key: str) -> NotFoundError:
    return NotFoundError(f"{key} is gone", hint="Load the newest manifest: a merge may have replaced it")


def _named(key: str, error: ArchiveDamagedError) -> ArchiveDamagedError:
    return ArchiveDamagedError(f"{key}: {error.message}", hint=error.hint)
