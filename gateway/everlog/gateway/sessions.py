"""Appending to sessions: who acts, what is handed over to the log, and what came of it.

1. Everything that can be refused is refused: role, roster, form, limits. From here on nothing is decided.
2. The session's known version is noted: an event that is looked up later lies behind it.
3. The record is handed over. ``UnavailableError`` says that nothing was; any other end means that it may land.
4. The verdict is waited for until the deadline; without one the outcome is pending, which is no error.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from everlog.domain.encoding import encode
from everlog.domain.record import Headers, Position
from everlog.domain.verdicts import Accepted, Duplicate, Rejected, Verdict, unpack
from everlog.gateway.identity import Identity
from everlog.gateway.leases import ACQUIRED, Leases
from everlog.gateway.outcomes import OutcomeFinder
from everlog.gateway.reading import FIRST_PAUSE_S, LONGEST_PAUSE_S, SessionReader
from everlog.gateway.roles import ADDS_OTHERS, JOINS_AS, Verb, require
from everlog.gateway.verdicts import OutcomeWaiter
from everlog.ports.log import Appender
from everlog.schemas.errors import ForbiddenError, InvalidEventError, UnavailableError, UnknownOutcomeError
from everlog.schemas.events import CONTENT_TYPE, RULES, Event, check_data, plain_data
from everlog.schemas.http import CreateRequest
from everlog.schemas.identifiers import session_key
from everlog.schemas.payloads import LeaseRevoked, ParticipantJoined, SessionCreated
from everlog.schemas.times import as_text

SOURCE: Final = "/gateway"
CREATION: Final = SessionCreated.type_name
CREATION_ROUTE: Final = "/v1/sessions"
VERSIONS_KNOWN: Final = 65_536
"""Sessions whose last seen version is remembered: about 10 MiB."""
_IDEMPOTENCY: Final = UUID("0d9a3c52-6c5f-5d0e-9a57-4a4f1f0c7f0b")
"""Namespace of event ids that are derived from a caller's key; a random one, never to change."""

log = logging.getLogger(__name__)


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


class Judged(NamedTuple):
    """What came of a proposal; no verdict: not known yet. ``known_version`` was the session's before it."""

    key: str
    event_id: str
    verdict: Verdict | None
    position: Position | None
    known_version: int


def derived_id(identity: Identity, place: str, key: str) -> str:
    """The id that a caller's own key stands for: the same at every try. ``place`` is a session id or a route."""
    return str(uuid5(_IDEMPOTENCY, f"{identity.tenant}/{identity.principal}/{place}/{key}"))


class Sessions:
    """Appends for authenticated callers."""

    def __init__(
        self,
        *,
        appender: Appender,
        reader: SessionReader,
        finder: OutcomeFinder,
        waiter: OutcomeWaiter,
        leases: Leases,
        acknowledge_timeout_s: float,
        now: Callable[[], datetime],
        monotonic_s: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        """``now`` is the wall clock in UTC, ``new_id`` makes UUIDv7s."""
        self._appender, self._reader, self._finder, self._waiter = appender, reader, finder, waiter
        self._leases = leases
        self._acknowledge_timeout_s = acknowledge_timeout_s
        self._now, self._monotonic_s, self._new_id = now, monotonic_s, new_id
        self._versions: OrderedDict[str, int] = OrderedDict()
        self._in_flight: set[asyncio.Task[Position | None]] = set()

    async def create(
        self, identity: Identity, request: CreateRequest, idempotency_key: str | None, wait_s: float
    ) -> Judged:
        """Create a session that the caller owns. Raises as ``append`` does."""
        require(identity, Verb.CREATE)
        made_id = derived_id(identity, CREATION_ROUTE, idempotency_key) if idempotency_key else self._new_id()
        session = request.id or made_id
        data = {"owner": identity.principal, **request.model_dump(exclude={"id"}, exclude_defaults=True)}
        proposal = Proposal(identity=identity, session=session, type=CREATION, data=data)
        key = session_key(identity.tenant, session)
        self._note(key, 0)
        return await self._hand_over(key, self._event(proposal, made_id, identity.principal, data), (), wait_s)

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
        given = proposal.idempotency_key
        event_id = derived_id(identity, proposal.session, given) if given else self._new_id()
        if proposal.type == ACQUIRED:
            data = await self._leases.admitted(key, event_id, data)
        traced = (("traceparent", proposal.traceparent.encode()),) if proposal.traceparent else ()
        return await self._hand_over(key, self._event(proposal, event_id, actor, data), traced, wait_s)

    async def append_as_system(self, proposal: Proposal, actor: str, event_id: str, wait_s: float) -> Judged:
        """Append what the system does by itself: ``actor`` is one of its components. Raises ``UnavailableError``."""
        key = session_key(proposal.identity.tenant, proposal.session)
        return await self._hand_over(key, self._event(proposal, event_id, actor, proposal.data), (), wait_s)

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
                self._note(key, shown.version)
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

    async def _hand_over(self, key: str, event: Event, headers: Headers, wait_s: float) -> Judged:
        value = _encoded(event)
        known = self._versions.get(key)
        if known is None:
            known = await self._reader.hot_version(key)
            self._note(key, known)
        deadline_s = self._monotonic_s() + wait_s
        task = asyncio.create_task(
            self._appender.append(key, value, (("content-type", CONTENT_TYPE.encode()), *headers))
        )
        self._in_flight.add(task)
        task.add_done_callback(self._landed)
        done, _ = await asyncio.wait({task}, timeout=max(wait_s, self._acknowledge_timeout_s))
        try:
            position = task.result() if done else None
        except UnknownOutcomeError:
            position = None
        verdict = await self._verdict(key, event.id, position, deadline_s - self._monotonic_s())
        if isinstance(verdict, Accepted):
            self._note(key, verdict.version)
        await self._leases.noted(key, event.type, plain_data(event), verdict)
        return Judged(key, event.id, verdict, position, known)

    async def _verdict(self, key: str, event_id: str, position: Position | None, wait_s: float) -> Verdict | None:
        """The verdict with its details, waited for; None when it is not known in time."""
        if wait_s <= 0:
            return None
        try:
            if position is None:
                verdict: Verdict | None = await self._by_id(key, event_id, wait_s)
            else:
                packed = await self._waiter.wait(position, wait_s)
                verdict = unpack(packed) if packed is not None else None
        except UnavailableError:
            return None
        match verdict:
            case Rejected() | Duplicate(Rejected()):
                return await self._detailed(key, event_id, verdict)
        return verdict

    async def _by_id(self, key: str, event_id: str, wait_s: float) -> Accepted | Rejected | None:
        """Of a record that was acknowledged without a position."""
        deadline_s, pause_s = self._monotonic_s() + wait_s, FIRST_PAUSE_S
        while True:
            found = await self._finder.recent(key, event_id)
            if found is not None or self._monotonic_s() >= deadline_s:
                return found
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _detailed(self, key: str, event_id: str, verdict: Rejected | Duplicate) -> Verdict:
        first = verdict.first if isinstance(verdict, Duplicate) else verdict
        if isinstance(first, Accepted):
            return verdict
        try:
            first = Rejected(first.reason, first.version, await self._finder.detail(key, event_id, first))
        except UnavailableError:
            return verdict
        return Duplicate(first) if isinstance(verdict, Duplicate) else first

    def _note(self, key: str, version: int) -> None:
        self._versions[key] = max(version, self._versions.pop(key, 0))
        if len(self._versions) > VERSIONS_KNOWN:
            self._versions.popitem(last=False)

    def _landed(self, task: asyncio.Task[Position | None]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("An append ended with %s", type(error).__name__)


def _encoded(event: Event) -> bytes:
    try:
        return encode(event)
    except InvalidEventError:
        check_data(event.type, event.data)  # names each wrong field, where the decoder stops at the first
        raise
