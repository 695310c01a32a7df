"""The archive as a reader sees it: a pinned manifest of a partition, with what finds a session in it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from everlog.adapters.archive import ManifestStore, SegmentStore
from everlog.archive.bloom import may_contain
from everlog.archive.manifest import Manifest, ManifestEntry
from everlog.ports.log import Record
from everlog.schemas.errors import NotFoundError

WAVE_INTERVALS: Final = 4
"""Intervals of the archive that are read at once when only the first records are wanted."""
RELOADS: Final = 3
"""How often a newer manifest is loaded because an object was merged away meanwhile: merges are minutes apart."""


class ArchiveReader:
    """Reads partitions of an era from the archive; manifests and blooms stay in memory, they never change."""

    def __init__(self, manifests: ManifestStore, segments: SegmentStore, era: int) -> None:
        self._manifests, self._segments, self._era = manifests, segments, era
        self._pinned: dict[int, tuple[str, Manifest, dict[str, bytes]]] = {}

    async def pin(self, partition: int) -> tuple[Manifest, dict[str, bytes]] | None:
        """The newest manifest of a partition and its segments' blooms; None if nothing was archived yet.

        One GET of HEAD when nothing changed. Raises ``ArchiveDamagedError``, ``UnavailableError``.
        """
        for _ in range(RELOADS):
            held = await self._manifests.load_head(self._era, partition)
            if held is None:
                return None
            pinned = self._pinned.get(partition)
            if pinned is not None and pinned[0] == held.head.sha256:
                return pinned[1:]
            manifest = await self._manifests.load_manifest(held.head)
            try:
                blooms = await self._manifests.load_blooms(manifest)
            except NotFoundError:
                continue
            self._pinned[partition] = (held.head.sha256, manifest, blooms)
            return manifest, blooms
        raise NotFoundError(f"the archive of partition {partition} changes faster than it can be read")

    async def session(
        self, partition: int, key: str, until: int | None, *, first: int = 0, limit: int | None = None
    ) -> tuple[list[Record], int]:
        """The archived records of a session from ``first`` on and below ``until``, in order, and the offset where the
        archive ends; with a ``limit`` at least so many of the first ones, if there are.

        One parallel wave of GETs over the segments that may hold it; with a ``limit`` some segments after the other.
        """
        for attempt in itertools.count(1):
            pinned = await self.pin(partition)
            if pinned is None:
                return [], 0
            manifest, blooms = pinned
            wanted = [
                entry for entry in manifest.segments if entry.next > first and _may_hold(entry, blooms, key, until)
            ]
            records: list[Record] = []
            try:
                for wave in _waves(wanted) if limit is not None else [wanted]:
                    reads = (self._segments.read_session(entry, key, first=first, until=until) for entry in wave)
                    records += itertools.chain.from_iterable(await asyncio.gather(*reads))
                    if limit is not None and len(records) >= limit:
                        break
            except NotFoundError:
                if attempt == RELOADS:
                    raise
                continue
            return sorted(records, key=lambda record: record.offset), manifest.next_offset
        raise AssertionError("unreachable: the loop ends by return or raise")

    async def partition(self, partition: int, first: int, until: int) -> AsyncIterator[Sequence[Record]]:
        """All archived records of ``[first, until)``, in order of offset, a segment's interval at a time."""
        position, reloads = first, 0
        while position < until and (parts := await self._interval(partition, position)):
            try:
                records = [record for part in parts for record in (await self._segments.read_entry(part)).records()]
            except NotFoundError:
                reloads += 1
                if reloads == RELOADS:
                    raise
                continue
            wanted = [record for record in records if position <= record.offset < until]
            yield sorted(wanted, key=lambda record: record.offset)
            position, reloads = parts[0].next, 0

    async def _interval(self, partition: int, offset: int) -> list[ManifestEntry]:
        """The parts of the newest manifest's interval that holds an offset; empty at the archive's end."""
        pinned = await self.pin(partition)
        entries = pinned[0].segments if pinned is not None else ()
        return [entry for entry in entries if entry.first <= offset < entry.next]


def _may_hold(entry: ManifestEntry, blooms: dict[str, bytes], key: str, until: int | None) -> bool:
    if not entry.spans(key) or (until is not None and entry.first >= until):
        return False
    return may_contain(blooms[entry.key], key)


def _waves(entries: Sequence[ManifestEntry]) -> Iterator[list[ManifestEntry]]:
    """Entries in order of offset, some whole intervals at a time: the parts of one stay together."""
    ordered = sorted(entries, key=lambda entry: entry.first)
    intervals = [list(parts) for _, parts in itertools.groupby(ordered, key=lambda entry: entry.first)]
    for at in range(0, len(intervals), WAVE_INTERVALS):
        yield list(itertools.chain.from_iterable(intervals[at : at + WAVE_INTERVALS]))
