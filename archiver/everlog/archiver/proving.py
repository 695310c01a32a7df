"""Proof: archived bytes are compared with the log's own, once more and independently. Only this allows trimming."""

from __future__ import annotations

from everlog.adapters.archive import Claim, ManifestStore, SegmentStore
from everlog.archive.digest import Digest
from everlog.archive.manifest import ManifestEntry, prove
from everlog.archiver import metrics
from everlog.archiver.sealing import Clock
from everlog.ports.log import LogReader
from everlog.schemas.errors import ArchiveDamagedError


class Prover:
    """Proves segments of partitions, oldest first."""

    def __init__(self, log: LogReader, manifests: ManifestStore, segments: SegmentStore, now_ms: Clock) -> None:
        self._log, self._manifests, self._segments, self._now_ms = log, manifests, segments, now_ms

    async def prove(self, claim: Claim, partition: int) -> Claim:
        """Prove every segment that is not proved yet, and publish up to where.

        Raises ``ArchiveDamagedError`` at the first one that is not what the log holds; nothing is trimmed then.
        """
        pending = [entry for entry in claim.manifest.segments if entry.next > claim.manifest.trim_ok_offset]
        if not pending:
            return claim
        for entry in pending:
            await self._compare(partition, entry)
        blooms = await self._manifests.load_blooms(claim.manifest)
        manifest = prove(claim.manifest, pending[-1].next, self._now_ms())
        claim = await self._manifests.publish(claim.held, manifest, blooms, at=self._now_ms())
        metrics.archive_proved_offset.labels(partition).set(manifest.trim_ok_offset)
        return claim

    async def _compare(self, partition: int, entry: ManifestEntry) -> None:
        archived = (await self._segments.read_entry(entry)).meta.digest
        on_the_log = Digest()
        async for records in self._log.read(partition, entry.first, entry.next):
            on_the_log.add_all(records)
        if archived != on_the_log:
            metrics.archive_faults_total.inc()
            raise ArchiveDamagedError(
                f"{entry.key} is not what the log holds in [{entry.first}, {entry.next})",
                hint="Nothing is trimmed; keep the log and look at the object",
            )
