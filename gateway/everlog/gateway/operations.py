"""What operators do through the door is written down before it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from everlog.gateway.identity import Identity
from everlog.ports.audit import AuditTrail
from everlog.schemas.audit import AuditEvent, Operation
from everlog.schemas.times import as_text


class Operations:
    """Records operations in the audit trail."""

    def __init__(self, trail: AuditTrail, now: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        self._trail, self._now, self._new_id = trail, now, new_id

    async def record(
        self, identity: Identity, command: str, session: str, reason: str, arguments: Mapping[str, object]
    ) -> None:
        """Write down what somebody is about to do to a session (``tenant/session``).

        Raises ``UnavailableError``: then it must not be done.
        """
        event = AuditEvent(
            id=self._new_id(),
            source="/gateway",
            type="everlog.audit.operation.v1",
            time=as_text(self._now()),
            tenantid=identity.tenant,
            actor=identity.principal,
            data=Operation.of(command, reason, arguments, [session]),
        )
        await self._trail.record(event)
