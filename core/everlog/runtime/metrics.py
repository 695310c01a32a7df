"""Metrics that more than one service has. Each process has one registry; never a session id as a label."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from everlog.domain.registry import NEWEST_RULES
from everlog.domain.view import FOLD_VERSION
from everlog.schemas.errors import UnavailableError

OBJECT_STORE: Final = "the object store"
"""How people are told of it; its label is ``s3``."""

log_start_offset = Gauge("everlog_log_start_offset", "First offset that the log holds", ["partition"])
log_end_offset = Gauge("everlog_log_end_offset", "Next offset of the log", ["partition"])
retries_total = Counter("everlog_retries_total", "Calls that were made again after a failure", ["dependency"])
breaker_state = Gauge("everlog_breaker_state", "0 closed, 1 half-open, 2 open", ["dependency"])


def count_retry(error: UnavailableError) -> None:
    """Count that what failed with this error is done again."""
    named = "s3" if error.dependency == OBJECT_STORE else error.dependency.lower()
    retries_total.labels(named).inc()


def show_build(registry: CollectorRegistry = REGISTRY) -> None:
    """Show what runs, as the labels of ``everlog_build_info``; once per registry, when a service starts."""
    build = Gauge(
        "everlog_build_info", "What runs; always 1", ["version", "python", "fold_version", "rules"], registry=registry
    )
    build.labels(version("everlog"), platform.python_version(), str(FOLD_VERSION), str(NEWEST_RULES)).set(1)
