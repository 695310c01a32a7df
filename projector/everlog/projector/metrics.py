"""What the projector counts. Never a session id as a label."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from prometheus_client import Counter, Gauge, Histogram

from everlog.domain.verdicts import unpack
from everlog.runtime.metrics import breaker_state, log_end_offset, log_start_offset, retries_total

__all__ = [
    "batch_seconds",
    "breaker_state",
    "count_batch",
    "count_verdicts",
    "divergences_total",
    "events_total",
    "evictions_total",
    "hot_failures_total",
    "lag_events",
    "lag_seconds",
    "last_flush_seconds",
    "log_end_offset",
    "log_start_offset",
    "parked_oldest_seconds",
    "parked_sessions",
    "rehydrate_seconds",
    "retries_total",
    "verdicts_total",
]

events_total = Counter("everlog_projector_events_total", "Records folded or passed over")
verdicts_total = Counter("everlog_verdicts_total", "Verdicts of the log", ["verdict"])
lag_events = Gauge("everlog_projector_lag_events", "Records behind the log's end", ["partition"])
lag_seconds = Gauge("everlog_projector_lag_seconds", "Since when nothing was stored although records wait; 0 = none do")
last_flush_seconds = Gauge("everlog_projector_last_flush_seconds", "When a batch was last stored, seconds since 1970")
batch_seconds = Histogram(
    "everlog_projector_batch_seconds",
    "Time of a batch by stage",
    ["stage"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
rehydrate_seconds = Histogram("everlog_rehydrate_seconds", "Time to bring a stub's state back")
evictions_total = Counter("everlog_evictions_total", "Sessions whose entries or state left the warm store", ["kind"])
divergences_total = Counter("everlog_divergences_total", "Sessions whose stored form was not what history gives")
hot_failures_total = Counter("everlog_projector_hot_failures_total", "Batches whose hot write failed")
parked_sessions = Gauge("everlog_parked_sessions", "Sessions of this worker whose fold raised; cold ones do not count")
parked_oldest_seconds = Gauge("everlog_parked_oldest_seconds", "For how long the oldest of them has waited; 0 = none")


def count_batch(packed: Sequence[int]) -> Mapping[str, int]:
    """A batch was stored: count its records and what became of them; returns how often each verdict came."""
    events_total.inc(len(packed))
    last_flush_seconds.set(time.time())
    return count_verdicts(packed)


def count_verdicts(packed: Sequence[int]) -> Mapping[str, int]:
    """Count what the log's order made of records; returns how often each verdict came."""
    verdicts: dict[str, int] = {}
    for outcome in packed:
        verdict = unpack(outcome)
        name = type(verdict).__name__.lower() if verdict is not None else "none"
        verdicts[name] = verdicts.get(name, 0) + 1
    for name, count in verdicts.items():
        verdicts_total.labels(name).inc(count)
    return verdicts
