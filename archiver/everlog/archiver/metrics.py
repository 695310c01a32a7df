"""What the archiver counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

log_start_offset = Gauge("everlog_log_start_offset", "First offset that the log holds", ["partition"])
log_end_offset = Gauge("everlog_log_end_offset", "Next offset of the log", ["partition"])
archive_next_offset = Gauge("everlog_archive_next_offset", "Every record below it is archived", ["partition"])
archive_proved_offset = Gauge("everlog_archive_proved_offset", "Every record below it was proved", ["partition"])
archive_bytes_total = Counter("everlog_archive_bytes_total", "Bytes of segments written")
archive_faults_total = Counter("everlog_archive_faults_total", "Proofs that failed, and records that were damaged")
