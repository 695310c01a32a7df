"""What the archiver counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from everlog.runtime.metrics import log_end_offset, log_start_offset, retries_total

__all__ = [
    "archive_bytes_total",
    "archive_faults_total",
    "archive_next_offset",
    "archive_proved_offset",
    "log_end_offset",
    "log_start_offset",
    "retries_total",
]

archive_next_offset = Gauge("everlog_archive_next_offset", "Every record below it is archived", ["partition"])
archive_proved_offset = Gauge("everlog_archive_proved_offset", "Every record below it was proved", ["partition"])
archive_bytes_total = Counter("everlog_archive_bytes_total", "Bytes of segments written")
archive_faults_total = Counter("everlog_archive_faults_total", "Proofs that failed, and records that were damaged")
