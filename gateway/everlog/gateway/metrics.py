"""What the gateway counts; never a session or a tenant as a label."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from everlog.runtime.metrics import show_build

_SECONDS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""From a hot read to the deadline of a verdict."""


class GatewayMetrics:
    """The gateway's metrics in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.http_seconds = Histogram(
            "everlog_http_seconds", "Requests", ("route", "code"), buckets=_SECONDS, registry=registry
        )
        self.append_seconds = Histogram(
            "everlog_append_seconds", "Appends until their answer", ("outcome",), buckets=_SECONDS, registry=registry
        )
        self.verdicts = Counter("everlog_verdicts_total", "Verdicts answered", ("verdict",), registry=registry)
        self.auth_denials = Counter(
            "everlog_auth_denials_total", "Requests without a valid token or the right", registry=registry
        )
        self.denials_not_audited = Counter(
            "everlog_denials_not_audited_total", "Denials that the audit trail did not take", registry=registry
        )
        self.tier_reads = Counter("everlog_tier_reads_total", "Reads by tier", ("tier",), registry=registry)
        self.leases = Gauge(
            "everlog_leases",
            "Leases of the whole cluster: alive, or lapsed and not freed",
            ("state",),
            registry=registry,
        )
        self.sse_clients = Gauge("everlog_sse_clients", "Streams that are open", registry=registry)
        show_build(registry)
