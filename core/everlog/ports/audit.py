"""The audit trail: who was refused, and what operators did."""

from __future__ import annotations

from typing import Protocol

from everlog.schemas.audit import AuditEvent

TAIL_MAX = 10_000
"""Entries that are read at once."""


class AuditTrail(Protocol):
    """Appends entries, and reads the newest. Every method raises ``UnavailableError``."""

    async def record(self, event: AuditEvent) -> None:
        """Append an entry; returns once it is durable."""

    async def tail(self, last: int) -> list[AuditEvent]:
        """The newest entries, oldest first; at most ``TAIL_MAX``."""
