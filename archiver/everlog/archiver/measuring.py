"""How far the archive is behind the log, and how old its proofs are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from everlog.archive.manifest import Manifest
from everlog.archiver import metrics
from everlog.archiver.sealing import Clock
from everlog.ports.log import LogReader


class ArchiveMeter:
    """Sets the gauges of the archive, once per cycle."""

    def __init__(self, log: LogReader, now_ms: Clock) -> None:
        self._log, self._now_ms = log, now_ms
        self._appended_ms: dict[tuple[int, int], int] = {}
        """(partition, offset) of the first records that are not archived -> their append time; asked for once."""

    async def measure(self, manifests: Mapping[int, Manifest]) -> None:
        """Look at the manifests in force, by partition. Raises ``UnavailableError``."""
        now_ms = self._now_ms()
        pending: dict[tuple[int, int], int] = {}
        proofs: list[int] = []
        for partition, manifest in manifests.items():
            metrics.archive_next_offset.labels(partition).set(manifest.next_offset)
            metrics.archive_proved_offset.labels(partition).set(manifest.trim_ok_offset)
            proofs += [entry.proved_at or entry.read_back_at for entry in manifest.segments]
            if (await self._log.bounds(partition)).end > manifest.next_offset:
                place = partition, manifest.next_offset
                pending[place] = self._appended_ms.get(place) or await self._append_time(*place)
        self._appended_ms = pending
        metrics.archive_lag_seconds.set(_age_s(now_ms, pending.values()))
        metrics.archive_oldest_proof_seconds.set(_age_s(now_ms, proofs))

    async def _append_time(self, partition: int, offset: int) -> int:
        async for records in self._log.read(partition, offset, offset + 1):
            return records[0].timestamp
        raise AssertionError("unreachable: a read gives what lies below the end, or raises")


def _age_s(now_ms: int, times_ms: Iterable[int]) -> float:
    return max(0, now_ms - min(times_ms, default=now_ms)) / 1000
