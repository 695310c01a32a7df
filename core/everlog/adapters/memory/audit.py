"""The audit trail in memory."""

from __future__ import annotations

from everlog.ports.audit import TAIL_MAX
from everlog.schemas.audit import AuditEvent


class MemoryAuditTrail:
    """An ``AuditTrail``."""

    def __init__(self) -> None:
        self._entries: list[AuditEvent] = []

    async def record(self, event: AuditEvent) -> None:
        """Append an entry."""
        self._entries.append(event)

    async def tail(self, last: int) -> list[AuditEvent]:
        """The newest entries, oldest first."""
        return self._entries[-min(last, TAIL_MAX) :] if last > 0 else []
