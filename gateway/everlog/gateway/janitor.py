"""Leases that nobody holds any more and nobody takes over are revoked, so that what their holders left open ends.

Any gateway may do it: one takes the turn of a period, and if two do it at once, the revocations have the same event id
and name the epoch, so the second changes nothing. Which leases lapsed is known from their heartbeats, not by looking at
every session; what the hot store lost is not revoked until somebody names it again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from everlog.domain.verdicts import Accepted
from everlog.gateway.identity import Identity
from everlog.gateway.leases import HolderAliveError, Leases
from everlog.gateway.metrics import GatewayMetrics
from everlog.gateway.sessions import Proposal, Sessions
from everlog.ports.heartbeats import Heartbeats, Lease
from everlog.schemas.errors import EverlogError, UnavailableError
from everlog.schemas.identifiers import split_key
from everlog.schemas.payloads import LeaseRevoked

SYSTEM: Final = "system:gateway"
REASON: Final = "no heartbeat"
PERIOD_S: Final = 5.0
"""Between two looks: short beside the grace, and a handful of commands."""
TURN: Final = "leases"
VERDICT_TIMEOUT_S: Final = 5.0
"""What is not judged in this time is revoked again at a later turn, under the same event id."""

log = logging.getLogger(__name__)


class LeaseJanitor:
    """Revokes lapsed leases. ``run`` it beside the requests."""

    def __init__(
        self, *, heartbeats: Heartbeats, leases: Leases, sessions: Sessions, metrics: GatewayMetrics, grace_s: float
    ) -> None:
        """``grace_s`` is how long after it lapsed a lease is left to whoever takes it over."""
        self._heartbeats, self._leases, self._sessions = heartbeats, leases, sessions
        self._metrics, self._grace_s = metrics, grace_s

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                await self._count()
                if await self._heartbeats.take_turn(TURN, PERIOD_S):
                    await self.sweep()
            except UnavailableError as error:
                log.debug("No lapsed lease is revoked: %s", error)

    async def sweep(self) -> int:
        """Revoke what lapsed long enough ago; how many were revoked. Raises ``UnavailableError``."""
        return sum(await asyncio.gather(*map(self._end, await self._heartbeats.lapsed(self._grace_s))))

    async def _count(self) -> None:
        counts = await self._heartbeats.counts()
        for state, number in counts._asdict().items():
            self._metrics.leases.labels(state).set(number)

    async def _end(self, lease: Lease) -> bool:
        try:
            return await self._revoke(lease)
        except (HolderAliveError, UnavailableError) as error:
            log.debug("Not revoked now: %s", error)
        except EverlogError as error:  # no such session, or it is parked: whoever takes the lease over names it again
            log.warning("A lapsed lease cannot be revoked: %s", error)
            await self._leases.ended(lease)
        return False

    async def _revoke(self, lease: Lease) -> bool:
        standing = await self._leases.held(lease.key, lease.epoch)
        if standing.lease_epoch(lease.participant) != lease.epoch:
            await self._leases.ended(lease)
            return False
        await self._leases.presume_dead(lease)
        tenant, session = split_key(lease.key)
        proposal = Proposal(
            identity=Identity(tenant, SYSTEM, "system"),
            session=session,
            type=LeaseRevoked.type_name,
            data={"participant": lease.participant, "epoch": lease.epoch, "reason": REASON},
            idempotency_key=f"lease/{lease.participant}/{lease.epoch}",
        )
        judged = await self._sessions.append_as_system(proposal, SYSTEM, VERDICT_TIMEOUT_S)
        if judged.verdict is not None:
            await self._leases.ended(lease)
        return isinstance(judged.verdict, Accepted)
