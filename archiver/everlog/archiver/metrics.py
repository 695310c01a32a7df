"""What the archiver counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from everlog.runtime.metrics import log_end_offset, log_start_offset

__all__ = [
    "archive_bytes_total",
    "archive_faults_total",
    "archive_lag_seconds",
    "archive_next_offset",
    "archive_oldest_proof_seconds",
    "archive_proved_offset",
    "log_end_offset",
    "log_start_offset",
]

archive_next_offset = Gauge("everlog_archive_next_offset", "Every record below it is archived", ["partition"])
archive_proved_offset = Gauge("everlog_archive_proved_offset", "Every record below it was proved", ["partition"])
archive_lag_seconds = Gauge(
    "everlog_archive_lag_seconds", "For how long the oldest event that is not archived has been on the log; 0 = none is"
)
archive_oldest_proof_seconds = Gauge(
    "everlog_archive_oldest_proof_seconds", "For how long no byte of some segment was compared; 0 = there is none"
)
archive_bytes_total = Counter("everlog_archive_bytes_total", "Bytes of segments written")
archive_faults_total = Counter("everlog_archive_faults_total", "Proofs that failed, and records that were damaged")
