"""Denied requests go to the audit trail: in the background, so that a flood of them delays nobody.

What does not fit into the queue is counted and not kept: a denial is always in the log of the process as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from starlette.requests import Request

from everlog.gateway.identity import Identity
from everlog.gateway.metrics import GatewayMetrics
from everlog.ports.audit import AuditTrail
from everlog.schemas.audit import AuditEvent, Denial, cut
from everlog.schemas.errors import DeniedError, UnauthenticatedError, UnavailableError
from everlog.schemas.times import as_text

WAITING: Final = 1_000
"""Denials that wait for the audit trail: some seconds of a flood."""

log = logging.getLogger(__name__)


class Denials:
    """Notes who was refused, and records it."""

    def __init__(
        self, trail: AuditTrail, metrics: GatewayMetrics, now: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self._trail, self._metrics, self._now, self._new_id = trail, metrics, now, new_id
        self._waiting: asyncio.Queue[AuditEvent] = asyncio.Queue(WAITING)

    def note(self, request: Request, error: DeniedError) -> None:
        """A request was denied; returns at once."""
        self._metrics.auth_denials.inc()
        identity: Identity | None = getattr(request.state, "identity", None)
        denial = Denial(
            method=request.method,
            path=cut(request.url.path),
            reason="unauthenticated" if isinstance(error, UnauthenticatedError) else "forbidden",
            detail=cut(str(error)),
            role=identity.role if identity is not None else None,
            trace_id=request.state.trace_id,
        )
        event = AuditEvent(
            id=self._new_id(),
            source="/gateway",
            type="everlog.audit.denied.v1",
            time=as_text(self._now()),
            tenantid=identity.tenant if identity is not None else None,
            actor=identity.principal if identity is not None else None,
            data=denial,
        )
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self._metrics.denials_not_audited.inc()

    async def run(self) -> None:
        """Record until cancelled; what the trail does not take is lost to it, and counted."""
        while True:
            event = await self._waiting.get()
            try:
                await self._trail.record(event)
            except UnavailableError as error:
                self._metrics.denials_not_audited.inc()
                log.warning("A denial was not recorded for the audit: %s", error)
            finally:
                self._waiting.task_done()

    async def drained(self) -> None:
        """Wait until everything noted was recorded."""
        await self._waiting.join()
