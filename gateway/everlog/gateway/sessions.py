"""Appending to sessions: who may, who acts, and the event that comes of a proposal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from everlog.gateway.delivery import Delivery, Judged, Order
from everlog.gateway.identity import Identity
from everlog.gateway.keyed import OwnKey
from everlog.gateway.known import KnownSessions
from everlog.gateway.leases import ACQUIRED, Leases
from everlog.gateway.reading import SessionReader
from everlog.gateway.roles import ADDS_OTHERS, JOINS_AS, Verb, require
from everlog.schemas.errors import ForbiddenError, InvalidEventError
from everlog.schemas.events import RULES, Event, check_data, plain_data
from everlog.schemas.http import CreateRequest
from everlog.schemas.identifiers import session_key
from everlog.schemas.payloads import LeaseRevoked, ParticipantJoined, SessionCreated
from everlog.schemas.times import as_text

SOURCE: Final = "/gateway"
CREATION: Final = SessionCreated.type_name
CREATION_ROUTE: Final = "/v1/sessions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An event that an authenticated caller wants appended; ``type`` in full, ``idempotency_key`` the caller's own."""

    identity: Identity
    session: str
    type: str
    data: dict[str, Any]
    idempotency_key: str | None = None
    participant: str | None = None
    lease_epoch: int | None = None
    expected_version: int | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None


class Sessions:
    """Appends for authenticated callers."""

    def __init__(
        self,
        *,
        delivery: Delivery,
        known: KnownSessions,
        reader: SessionReader,
        leases: Leases,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        """``now`` is the wall clock in UTC, ``new_id`` makes UUIDv7s."""
        self._delivery, self._known, self._reader, self._leases = delivery, known, reader, leases
        self._now, self._new_id = now, new_id

    async def create(
        self, identity: Identity, request: CreateRequest, idempotency_key: str | None, wait_s: float
    ) -> Judged:
        """Create a session that the caller owns. Raises as ``append`` does."""
        require(identity, Verb.CREATE)
        own_key = OwnKey(identity, CREATION_ROUTE, idempotency_key) if idempotency_key else None
        made_id = own_key.event_id if own_key is not None else self._new_id()
        session = request.id or made_id
        data = {"owner": identity.principal, **request.model_dump(exclude={"id"}, exclude_defaults=True)}
        proposal = Proposal(identity=identity, session=session, type=CREATION, data=data)
        key = session_key(identity.tenant, session)
        self._known.note(key, 0)
        event = self._event(proposal, made_id, identity.principal, data)
        return await self._deliver(key, Order(event, own_key), wait_s)

    async def append(self, proposal: Proposal, wait_s: float) -> Judged:
        """Append an event and wait so long for its verdict (0: only for the acknowledgement).

        Raises ``ForbiddenError``, ``NotFoundError`` (only when acting as a participant), ``InvalidEventError``,
        ``LimitExceededError``, ``HolderAliveError``, ``UnavailableError``: each before anything was handed over.
        """
        identity = proposal.identity
        require(identity, Verb.APPEND)
        if proposal.type == CREATION:
            raise InvalidEventError("a session is not created by an event", hint=f"Use POST {CREATION_ROUTE}")
        key = session_key(identity.tenant, proposal.session)
        actor, data = await self._authorised(key, proposal)
        own_key = _own_key(proposal)
        event_id = own_key.event_id if own_key is not None else self._new_id()
        event, asked = self._event(proposal, event_id, actor, data), None
        if proposal.type == ACQUIRED:
            asked = event
            event = self._event(proposal, event_id, actor, await self._leases.admitted(key, event_id, data))
        traced = (("traceparent", proposal.traceparent.encode()),) if proposal.traceparent else ()
        return await self._deliver(key, Order(event, own_key, asked, traced), wait_s)

    async def append_as_system(self, proposal: Proposal, actor: str, wait_s: float) -> Judged:
        """Append what the system may do by itself: ``actor`` is one of its components. Raises ``InvalidEventError``,
        ``LimitExceededError``, ``UnavailableError``."""
        key = session_key(proposal.identity.tenant, proposal.session)
        own_key = _own_key(proposal)  # only names the event: what the system repeats changes nothing
        event_id = own_key.event_id if own_key is not None else self._new_id()
        return await self._deliver(key, Order(self._event(proposal, event_id, actor, proposal.data)), wait_s)

    async def _authorised(self, key: str, proposal: Proposal) -> tuple[str, dict[str, Any]]:
        """The actor, and the data with what the door fills in."""
        identity = proposal.identity
        if proposal.type != ParticipantJoined.type_name:
            actor = await self._actor(key, proposal)
            if proposal.type == LeaseRevoked.type_name:
                await self._check_governing(key, actor, "take a lease away")
            return actor, proposal.data
        filled = {"participant": proposal.participant or identity.principal, "principal": identity.principal}
        data = filled | proposal.data
        check_data(proposal.type, data)
        if data["principal"] == identity.principal:
            if data.get("role", "editor") not in JOINS_AS.get(identity.role, frozenset()):
                raise ForbiddenError(f"role {identity.role} may not join as {data['role']}")
            return identity.principal, data
        actor = await self._actor(key, proposal)
        if identity.role not in ADDS_OTHERS:
            await self._check_governing(key, actor, "let others join")
        return actor, data

    async def _check_governing(self, key: str, actor: str, what: str) -> None:
        shown = await self._reader.last_good(key)
        if not shown.state.standing.may_govern(actor):
            raise ForbiddenError(f"only who governs the session may {what}")

    async def _actor(self, key: str, proposal: Proposal) -> str:
        """The principal, or the participant of its own that it names; looked up again before it is refused."""
        named, principal = proposal.participant, proposal.identity.principal
        if named is None:
            return principal
        shown = await self._reader.last_good(key)
        for again in (True, False):
            entry = shown.state.standing.roster.get(named)
            if entry is not None and entry.principal == principal:
                self._known.note(key, shown.version)
                return named
            if again:
                shown = await self._reader.settled(key, shown.version + 1)
        raise ForbiddenError(f"{named} is not a participant of {principal}")

    def _event(self, proposal: Proposal, event_id: str, actor: str, data: dict[str, Any]) -> Event:
        # Not validated here: encode checks the bytes with the fold's own decoder, the only check that counts.
        return Event.model_construct(
            id=event_id,
            source=SOURCE,
            type=proposal.type,
            subject=proposal.session,
            tenantid=proposal.identity.tenant,
            time=as_text(self._now()),
            actor=actor,
            expectedversion=proposal.expected_version,
            leaseepoch=proposal.lease_epoch,
            correlationid=proposal.correlation_id,
            causationid=proposal.causation_id,
            rules=RULES,
            data=data,
        )

    async def _deliver(self, key: str, order: Order, wait_s: float) -> Judged:
        judged = await self._delivery.deliver(order, wait_s)
        await self._leases.noted(key, order.event.type, plain_data(order.event), judged.verdict)
        return judged


def _own_key(proposal: Proposal) -> OwnKey | None:
    if proposal.idempotency_key is None:
        return None
    return OwnKey(proposal.identity, proposal.session, proposal.idempotency_key)
