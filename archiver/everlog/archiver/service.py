"""The archiver's work on all partitions: seal what is due, prove, trim; once, or again and again."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import structlog

from everlog.adapters.archive import Claim, ManifestStore
from everlog.archiver import metrics
from everlog.archiver.measuring import ArchiveMeter
from everlog.archiver.proving import Prover
from everlog.archiver.sealing import Sealer
from everlog.archiver.settings import ArchiverSettings
from everlog.archiver.trimming import Trim, Trimmer
from everlog.ports.log import Bounds, LogIdentity, LogReader
from everlog.runtime.metrics import count_retry
from everlog.schemas.errors import FencedWriterError, LogLostError, OffsetTrimmedError, UnavailableError

_log = structlog.get_logger(__name__)


class Sealed(NamedTuple):
    """What a run archived: segments, events, bytes of objects, and of the records' values in them."""

    segments: int
    events: int
    bytes: int
    raw_bytes: int


def is_due(pending: int, waited_s: float, settings: ArchiverSettings) -> bool:
    """Whether a partition's pending events make a segment now."""
    return pending >= settings.segment_events or (pending > 0 and waited_s >= settings.flush_interval_s)


class Archiver:
    """The only writer of the archive of a log."""

    def __init__(
        self,
        *,
        identity: LogIdentity,
        log: LogReader,
        manifests: ManifestStore,
        sealer: Sealer,
        prover: Prover,
        trimmer: Trimmer,
        meter: ArchiveMeter,
        settings: ArchiverSettings,
        writer: str,
    ) -> None:
        self._identity, self._log, self._manifests = identity, log, manifests
        self._sealer, self._prover, self._trimmer = sealer, prover, trimmer
        self._meter, self._settings, self._writer = meter, settings, writer
        self._claims: dict[int, Claim] = {}
        self._pending_since: dict[int, float] = {}

    async def run(self) -> None:
        """Work until cancelled. A dependency that is away is waited for; anything else ends the service.

        Another writer that takes over (an operator's run) fences this one, which takes over again a cycle later.
        """
        while True:
            try:
                await self.seal(everything=False)
                await self.prove()
                await self.trim(window_s=self._settings.log_window_s)
                await self._meter.measure({partition: claim.manifest for partition, claim in self._claims.items()})
            except (UnavailableError, FencedWriterError) as error:
                if isinstance(error, UnavailableError):
                    count_retry(error)
                _log.warning("archiving waits", error=str(error))
                self._claims.clear()
            await asyncio.sleep(self._settings.cycle_s)

    async def seal(self, *, everything: bool) -> Sealed:
        """Archive what is due of every partition, or everything there is."""
        segments = events = size = raw_bytes = 0
        for partition in range(self._identity.partitions):
            end = (await self._bounds(partition)).end
            while self._is_due(partition, end, everything):
                claim, entry, values = await self._sealer.seal(await self._claim(partition), partition, end)
                self._claims[partition] = claim
                self._pending_since.pop(partition, None)
                segments, events = segments + 1, events + entry.rows
                size, raw_bytes = size + entry.bytes, raw_bytes + values
                _log.info("segment sealed", key=entry.key, events=entry.rows, bytes=entry.bytes)
        return Sealed(segments, events, size, raw_bytes)

    async def prove(self) -> None:
        """Prove everything archived that is not proved yet."""
        for partition in range(self._identity.partitions):
            self._claims[partition] = await self._prover.prove(await self._claim(partition), partition)

    async def trim(self, *, window_s: float, dry_run: bool = False) -> list[Trim]:
        """Trim every partition as far as it may go; what is younger than ``window_s`` seconds stays."""
        trims = []
        for partition in range(self._identity.partitions):
            held = await self._manifests.load_head(self._identity.era, partition)
            if held is not None:
                manifest = await self._manifests.load_manifest(held.head)
                trims.append(await self._trimmer.trim(held.head, manifest, window_s=window_s, dry_run=dry_run))
        return trims

    async def _claim(self, partition: int) -> Claim:
        claim = self._claims.get(partition)
        if claim is None:
            claim = await self._manifests.take_over(self._identity, partition, writer=self._writer)
            self._claims[partition] = claim
        return claim

    async def _bounds(self, partition: int) -> Bounds:
        archived = (await self._claim(partition)).manifest.next_offset
        bounds = await self._log.bounds(partition)
        if archived < bounds.start:  # either somebody else archived and trimmed it, or it is lost
            del self._claims[partition]
            archived = (await self._claim(partition)).manifest.next_offset
            bounds = await self._log.bounds(partition)
        metrics.log_start_offset.labels(partition).set(bounds.start)
        metrics.log_end_offset.labels(partition).set(bounds.end)
        if archived < bounds.start:
            raise OffsetTrimmedError(partition, archived, bounds.start)
        if archived > bounds.end:
            raise LogLostError(
                f"partition {partition} ends at {bounds.end}, below the {archived} records that are archived",
                hint="The log was lost or replaced: begin a new era with everlog archive adopt --new-era",
            )
        return bounds

    def _is_due(self, partition: int, end: int, everything: bool) -> bool:
        pending = end - self._claims[partition].manifest.next_offset
        if pending <= 0:
            self._pending_since.pop(partition, None)
            return False
        now = time.monotonic()
        waited_s = now - self._pending_since.setdefault(partition, now)
        return everything or is_due(pending, waited_s, self._settings)
