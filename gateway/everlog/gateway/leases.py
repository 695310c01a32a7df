"""Leases at the door: who may be taken for dead, and what is filled in for whom takes over.

The log alone says who holds a lease. A holder shows that it is alive by heartbeats, which live in the hot store. It is
taken for dead when it has been silent for its whole time to live while it could have been heard:

1. no sign of life is there (each stays for the time to live of the lease),
2. the hot store has been the same one, without a pause, for that time (``Steadiness``),
3. the lease was acquired at least that time ago, by the broker's clock: nobody is dead before its first heartbeat.

Who is taken for dead wrongly loses its lease and nothing else: ``decide`` fences every later write of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from everlog.domain.canonical import id_hash
from everlog.domain.event import Event
from everlog.domain.law import LAW
from everlog.domain.standing import Standing
from everlog.domain.types.lease import LeaseAcquired
from everlog.domain.verdicts import Accepted, Duplicate, Verdict
from everlog.gateway.reading import SessionReader
from everlog.gateway.steadiness import Steadiness
from everlog.gateway.timeline import TimelineReader
from everlog.ports.heartbeats import Alive, Heartbeats, Lease
from everlog.schemas import payloads
from everlog.schemas.errors import FencedError, ForbiddenError, IntegrityError, LeaseHeldError, UnavailableError
from everlog.schemas.events import check_data
from everlog.schemas.identifiers import split_key

ACQUIRED: Final = payloads.LeaseAcquired.type_name
ENDED: Final = (payloads.LeaseReleased.type_name, payloads.LeaseRevoked.type_name)

log = logging.getLogger(__name__)


class HolderAliveError(LeaseHeldError):
    """The holder may be alive; ``retry_after_s`` is when it can be told to be dead at the earliest."""

    def __init__(self, lease: Lease, retry_after_s: float, detail: str) -> None:
        super().__init__(f"{lease.participant} holds its lease under epoch {lease.epoch}: {detail}", epoch=lease.epoch)
        self.retry_after_s = retry_after_s


class LeaseGoneError(FencedError):
    """The epoch is not held any more and never will be again; ``held_epoch`` is the one that is, 0 for none."""

    def __init__(self, lease: Lease, held_epoch: int) -> None:
        now = f"epoch {held_epoch} is held" if held_epoch else "the lease is free"
        super().__init__(f"{lease.participant} does not hold epoch {lease.epoch}, {now}", hint="Acquire the lease")
        self.held_epoch = held_epoch


class _Acquisition(NamedTuple):
    ttl_s: int
    supersedes: int
    age_s: float


class Leases:
    """Knows which leases are held, and which holders are alive. Every method raises ``UnavailableError``."""

    def __init__(
        self,
        *,
        heartbeats: Heartbeats,
        steadiness: Steadiness,
        reader: SessionReader,
        timelines: TimelineReader,
        now: Callable[[], datetime],
    ) -> None:
        self._heartbeats, self._steadiness = heartbeats, steadiness
        self._reader, self._timelines, self._now = reader, timelines, now

    async def admitted(self, key: str, event_id: str, data: dict[str, Any]) -> dict[str, Any]:
        """The data of an acquisition as it goes to the log, with the dead holder that it supersedes filled in.

        A retry gets what its first try had. Raises ``HolderAliveError``, ``InvalidEventError``, ``NotFoundError``.
        """
        check_data(ACQUIRED, data)
        given: int = data.get("supersedes", 0)
        shown = await self._reader.settled(key, given)
        standing = shown.state.standing
        first = standing.ring.outcome(id_hash(event_id))
        if isinstance(first, Accepted):
            return await self._repeated(Lease(key, data["participant"], first.version), data)
        held = standing.lease_epoch(data["participant"])
        if not held or (given and given != held):
            return data  # free, or what is named was lost for ever: the log says so
        await self.presume_dead(Lease(key, data["participant"], held))
        return data | {"supersedes": held}

    async def presume_dead(self, lease: Lease) -> None:
        """Return if the holder is to be taken for dead, else raise ``HolderAliveError``."""
        alive = await self._heartbeats.look(lease)
        if alive is not None:
            raise HolderAliveError(lease, alive.left_s, "its holder is alive")
        acquisition = await self._acquisition(lease)
        heard_s = min(await self._steadiness.steady_s(), acquisition.age_s)
        if heard_s < acquisition.ttl_s:
            detail = f"its holder has not been silent for {acquisition.ttl_s} s yet, as far as can be known"
            raise HolderAliveError(lease, acquisition.ttl_s - heard_s, detail)

    async def held(self, key: str, version: int) -> Standing:
        """The standing of a session from at least this version on, where it has got there."""
        return (await self._reader.settled(key, version)).state.standing

    async def refused(self, key: str, participant: str, version: int) -> HolderAliveError:
        """What to tell whoever was refused by the log at a version because the lease is held."""
        lease = Lease(key, participant, (await self.held(key, version)).lease_epoch(participant))
        alive = await self._heartbeats.look(lease)
        return HolderAliveError(lease, alive.left_s if alive is not None else 1.0, "another was faster")

    async def keep(self, lease: Lease, principal: str) -> int:
        """A heartbeat of a holder; the seconds for which its lease is kept.

        Raises ``LeaseGoneError``, ``ForbiddenError`` for another's lease, ``NotFoundError``.
        """
        entry = (await self.held(lease.key, lease.epoch)).roster.get(lease.participant)
        if entry is not None and entry.principal != principal:
            raise ForbiddenError(f"{lease.participant} is not a participant of {principal}")
        if entry is None or entry.lease_epoch != lease.epoch:
            raise LeaseGoneError(lease, entry.lease_epoch if entry is not None else 0)
        alive = await self._heartbeats.look(lease)
        ttl_s = alive.ttl_s if alive is not None else (await self._acquisition(lease)).ttl_s
        await self._heartbeats.beat(lease, ttl_s)
        return ttl_s

    def lapses_at(self, left_s: float) -> datetime:
        """When a lease lapses of which so many seconds are left."""
        return self._now() + timedelta(seconds=left_s)

    async def alive(self, lease: Lease) -> Alive | None:
        """What is known of a holder's life."""
        return await self._heartbeats.look(lease)

    async def noted(self, key: str, type_name: str, data: dict[str, Any], verdict: Verdict | None) -> None:
        """An event was judged; if it was about a lease, remember what became of it. Raises nothing."""
        first = verdict.first if isinstance(verdict, Duplicate) else verdict
        if not isinstance(first, Accepted):
            return
        if type_name == ACQUIRED:
            try:
                await self._heartbeats.beat(Lease(key, data["participant"], first.version), data["ttl_s"])
            except UnavailableError as error:
                log.warning("A lease begins without a sign of life, its holder's heartbeats will tell: %s", error)
        elif type_name in ENDED:
            await self.ended(Lease(key, data["participant"], data["epoch"]))

    async def ended(self, lease: Lease) -> None:
        """A lease is held no longer. Raises nothing: what is not forgotten lapses."""
        try:
            await self._heartbeats.forget(lease)
        except UnavailableError as error:
            log.debug("A lease that ended lapses by itself: %s", error)

    async def _repeated(self, lease: Lease, data: dict[str, Any]) -> dict[str, Any]:
        """What the first try had; where that was something else, the log says so."""
        try:
            first = await self._acquisition(lease)
        except IntegrityError:
            return data
        return data | {"supersedes": first.supersedes} if first.supersedes and not data.get("supersedes") else data

    async def _acquisition(self, lease: Lease) -> _Acquisition:
        """The event that acquired a lease. Raises ``IntegrityError`` where that version was another one."""
        page = await self._timelines.page(lease.key, after=lease.epoch - 1, limit=1, newest_first=False)
        event = LAW.decode(page.entries[0].value) if page.entries else None
        if not isinstance(event, Event) or not isinstance(event.payload, LeaseAcquired):
            raise IntegrityError(f"version {lease.epoch} of session {split_key(lease.key)[1]} acquired no lease")
        recorded_at = datetime.fromtimestamp(page.entries[0].timestamp / 1000, UTC)
        age_s = (self._now() - recorded_at).total_seconds()
        return _Acquisition(event.payload.ttl_s, event.payload.supersedes, age_s)
