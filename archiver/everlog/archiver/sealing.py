"""Sealing: the next stretch of a partition becomes a segment of the archive.

 1. Read the log from the archive's end on, keeping count and digest from the bytes as they come over the wire.
 2. Encode the segment; its own digest, computed from the table, must be that of the wire.
 3. Put it under a key that carries its hash.
 4. Read it back and decode it: page checksums, count, digest, order, density.
 5. Swap HEAD to the manifest that names it. Only now is it part of the archive.

A crash before 5 leaves an object that nobody names; the next run writes the same one or another, and no reader sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from everlog.adapters.archive import Claim, ManifestStore, SegmentStore
from everlog.archive.digest import Digest
from everlog.archive.manifest import ManifestEntry, append_segment, entry_of
from everlog.archive.segment import EncodedSegment, encode_segment
from everlog.archiver import metrics
from everlog.archiver.settings import ArchiverSettings
from everlog.ports.log import LogReader, LogRecord
from everlog.schemas.errors import ArchiveDamagedError

Clock = Callable[[], int]
"""Milliseconds since 1970."""


class Sealer:
    """Cuts partitions into level-0 segments."""

    def __init__(
        self,
        log: LogReader,
        manifests: ManifestStore,
        segments: SegmentStore,
        settings: ArchiverSettings,
        now_ms: Clock,
    ) -> None:
        self._log, self._manifests, self._segments = log, manifests, segments
        self._settings, self._now_ms = settings, now_ms

    async def seal(self, claim: Claim, partition: int, end: int) -> tuple[Claim, ManifestEntry, int]:
        """Archive the next segment of a partition, at most up to ``end``; at least one record must be there.

        Returns the claim, the segment's entry, and the bytes of its records' values.

        Raises ``IntegrityError`` for a hole, ``ArchiveDamagedError`` when what was written does not read back,
        ``FencedWriterError`` when another archiver took over.
        """
        records, wire = await self._collect(partition, claim.manifest.next_offset, end)
        segment = await asyncio.to_thread(encode_segment, records, era=claim.manifest.era)
        if segment.digest != wire:
            raise ArchiveDamagedError(f"[{segment.first}, {segment.next}) changed between the wire and the segment")
        key = await self._segments.put(segment, era=claim.manifest.era, partition=partition, level=0)
        await self._read_back(key, segment, wire)
        entry = entry_of(segment, key=key, level=0, writer_epoch=claim.held.head.epoch, read_back_at=self._now_ms())
        blooms = await self._manifests.load_blooms(claim.manifest)
        claim = await self._manifests.publish(
            claim.held, append_segment(claim.manifest, entry), {**blooms, key: segment.bloom}, at=self._now_ms()
        )
        metrics.archive_bytes_total.inc(entry.bytes)
        metrics.archive_next_offset.labels(partition).set(entry.next)
        return claim, entry, sum(len(record.value or b"") for record in records)

    async def _collect(self, partition: int, first: int, end: int) -> tuple[list[LogRecord], Digest]:
        records: list[LogRecord] = []
        wire, raw_bytes = Digest(), 0
        until = min(end, first + self._settings.segment_events)
        async for chunk in self._log.read(partition, first, until):
            for record in chunk:
                wire.add(record)
                records.append(record)
                raw_bytes += len(record.value or b"") + len(record.key or b"")
                if raw_bytes >= self._settings.segment_raw_bytes:
                    return records, wire
        return records, wire

    async def _read_back(self, key: str, segment: EncodedSegment, wire: Digest) -> None:
        stored = await self._segments.read(key, sha256=segment.sha256)
        if stored.meta.digest != wire:
            metrics.archive_faults_total.inc()
            raise ArchiveDamagedError(f"{key} does not read back as it was written")
