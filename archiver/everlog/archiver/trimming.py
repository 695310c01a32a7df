"""Trimming: the log's beginning goes, once it is proved and nobody needs it any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from everlog.archive.manifest import Head, Manifest
from everlog.archiver import metrics
from everlog.archiver.sealing import Clock
from everlog.ports.control import Anchor, ControlStore
from everlog.ports.log import LogReader, LogTrimmer
from everlog.ports.warm import WarmReader


class Trim(NamedTuple):
    """What a trim of a partition came to: the log began at ``before`` and begins at ``after`` now."""

    partition: int
    before: int
    after: int


def trim_offset(manifest: Manifest, watermarks: Iterable[int | None], youngest_ms: int) -> int:
    """Up to which offset a partition may be trimmed: a segment's end, or 0.

    Proved, below the watermark of every generation (an unknown one forbids it), and wholly older than
    ``youngest_ms`` (milliseconds since 1970).
    """
    needed = [0 if watermark is None else watermark for watermark in watermarks]
    bound = min([manifest.trim_ok_offset, *needed])
    for entry in manifest.segments:
        if entry.next > bound or entry.max_timestamp >= youngest_ms:
            return entry.first
    return manifest.next_offset


class Trimmer:
    """Trims partitions. Nothing else ever deletes from the topic."""

    def __init__(
        self,
        log: LogReader,
        trimmer: LogTrimmer,
        control: ControlStore,
        generations: Sequence[WarmReader],
        now_ms: Clock,
    ) -> None:
        self._log, self._trimmer, self._control = log, trimmer, control
        self._generations, self._now_ms = generations, now_ms

    async def trim(self, head: Head, manifest: Manifest, *, window_s: float, dry_run: bool = False) -> Trim:
        """Trim one partition as far as it may go, after leaving an anchor that names the manifest.

        A dry run only says what would happen. Raises ``UnavailableError`` when a watermark cannot be read: then
        nothing is trimmed.
        """
        partition = manifest.partition
        watermarks = [await warm.watermark(manifest.era, partition) for warm in self._generations]
        youngest_ms = self._now_ms() + 1 - int(window_s * 1000)
        offset = trim_offset(manifest, watermarks, youngest_ms)
        start = (await self._log.bounds(partition)).start
        if offset <= start or dry_run:
            return Trim(partition, start, max(start, offset))
        await self._control.anchor(Anchor(manifest.era, partition, head.seq, head.sha256, offset))
        after = await self._trimmer.delete_before(partition, offset)
        metrics.log_start_offset.labels(partition).set(after)
        return Trim(partition, start, after)
