"""The gateway's routes in memory."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any, Final, NamedTuple

import httpx

from everlog.client.following import inner_events
from everlog.client.link import new_id
from everlog.client.testing import bodies
from everlog.client.testing.log import Judged, MemoryLog, MemorySession, is_alive, new_event
from everlog.domain.stored import TimelineEntry
from everlog.domain.verdicts import Accepted, Duplicate, Reason, Rejected
from everlog.schemas.errors import (
    EverlogError,
    FencedError,
    ForbiddenError,
    LeaseHeldError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from everlog.schemas.http import LEASE_EPOCH_HEADER, PARTICIPANT_HEADER, TIER_HEADER, TimelineEvent
from everlog.schemas.identifiers import full_type
from everlog.schemas.payloads import BatchAppended, InterruptRaised, LeaseAcquired, ParticipantJoined, SessionCreated

WRITING_ROLES: Final = frozenset({"owner", "editor"})
_ID: Final = r"([A-Za-z0-9._:@-]{1,128})"
_Answer = httpx.Response


class Identity(NamedTuple):
    """Who is asking; a token of the double spells it out: ``tenant/principal/role``."""

    tenant: str
    principal: str
    role: str


class Routes:
    """Answers requests from a log in memory. ``is_withholding`` says that verdicts are told later."""

    def __init__(self, log: MemoryLog) -> None:
        self.is_withholding = False
        self._log = log
        self._table: list[tuple[str, re.Pattern[str], Callable[..., _Answer]]] = [
            ("POST", re.compile("/v1/sessions"), self._create),
            ("GET", re.compile("/v1/sessions"), self._list),
            ("GET", re.compile("/v1/interrupts"), self._interrupts),
            ("GET", re.compile(f"/v1/sessions/{_ID}"), self._state),
            ("POST", re.compile(f"/v1/sessions/{_ID}/events"), self._append),
            ("GET", re.compile(f"/v1/sessions/{_ID}/events"), self._timeline),
            ("GET", re.compile(f"/v1/sessions/{_ID}/outcomes/{_ID}"), self._outcome),
            ("GET", re.compile(f"/v1/sessions/{_ID}/messages"), self._messages),
            ("GET", re.compile(f"/v1/sessions/{_ID}/stream"), self._stream),
            ("POST", re.compile(f"/v1/sessions/{_ID}/deltas"), self._delta),
            ("PUT", re.compile(f"/v1/sessions/{_ID}/participants/{_ID}/lease"), self._acquire),
            ("POST", re.compile(f"/v1/sessions/{_ID}/participants/{_ID}/lease/heartbeat"), self._heartbeat),
        ]

    def answer(self, request: httpx.Request) -> _Answer:
        """The answer to a request whose body was read."""
        try:
            identity = _identity(request)
            for method, path, handler in self._table:
                found = path.fullmatch(request.url.path)
                if found is not None and method == request.method:
                    with self._log.lock:
                        return handler(_Request(identity, request), *found.groups())
            raise NotFoundError(f"the double has no route {request.method} {request.url.path}")
        except EverlogError as error:
            return _json(*bodies.problem_of_error(error))

    def _create(self, request: _Request) -> _Answer:
        request.require_writing()
        given = request.body
        session_id = given.get("id") or new_id()
        data = {"owner": request.identity.principal, **{name: given[name] for name in given if name != "id"}}
        session = self._session(request, session_id)
        judged = self._take(request, session, SessionCreated.type_name, data, request.identity.principal)
        return self._judged(session, judged, {"session": session_id})

    def _append(self, request: _Request, session_id: str) -> _Answer:
        request.require_writing()
        session, body = self._session(request, session_id), request.body
        if "events" in body:
            inner = [{"type": full_type(each["type"]), "data": each["data"]} for each in body["events"]]
            type_name, data = BatchAppended.type_name, {"events": inner}
        else:
            type_name, data = full_type(body["type"]), body["data"]
        if type_name == ParticipantJoined.type_name:
            participant = request.headers.get(PARTICIPANT_HEADER, request.identity.principal)
            data = {"participant": participant, "principal": request.identity.principal} | data
            actor = request.identity.principal
            if str(data.get("role")) == "owner" and request.identity.role != "owner":
                raise ForbiddenError(f"role {request.identity.role} may not join as owner")
        else:
            actor = request.actor(session)
        return self._judged(session, self._take(request, session, type_name, data, actor))

    def _take(
        self, request: _Request, session: MemorySession, type_name: str, data: dict[str, Any], actor: str
    ) -> Judged:
        body = request.body if request.url.path.endswith("/events") else {}
        names = {
            "expectedversion": "expected_version",
            "correlationid": "correlation_id",
            "causationid": "causation_id",
        }
        attributes: dict[str, Any] = {attribute: body.get(name) for attribute, name in names.items()}
        if LEASE_EPOCH_HEADER in request.headers:
            attributes["leaseepoch"] = int(request.headers[LEASE_EPOCH_HEADER])
        event_id = body.get("id") or request.headers.get("Idempotency-Key") or new_id()
        tenant, _, session_id = session.key.partition("/")
        event = new_event(tenant, session_id, actor, type_name, data, event_id, **attributes)
        is_durable = request.headers.get("Prefer") == "respond-async"
        judged = session.take(event, withheld=self.is_withholding)
        return Judged(judged.event_id, None) if is_durable else judged

    def _judged(self, session: MemorySession, judged: Judged, more: dict[str, Any] | None = None) -> _Answer:
        first = judged.verdict.first if isinstance(judged.verdict, Duplicate) else judged.verdict
        if isinstance(first, Rejected):
            return _json(*bodies.problem_of_rejection(first, self._between(session, first)))
        body = bodies.append_body(judged.event_id, judged.verdict) | (more or {})
        if judged.verdict is None:
            location = f"/v1/sessions/{session.key.partition('/')[2]}/outcomes/{judged.event_id}"
            return _json(202, body, {"Location": location})
        return _json(201 if isinstance(judged.verdict, Accepted) else 200, body)

    def _between(self, session: MemorySession, rejected: Rejected) -> list[dict[str, Any]]:
        if rejected.reason not in (Reason.VERSION_CONFLICT, Reason.KEY_CONFLICT):
            return []
        return [bodies.event_body(entry) for entry in session.entries[-100:]]

    def _outcome(self, request: _Request, session_id: str, event_id: str) -> _Answer:
        verdict = self._session(request, session_id).verdicts.get(event_id)
        if verdict is None:
            raise NotFoundError(f"nothing is known of an event {event_id}")
        return _json(200, bodies.append_body(event_id, verdict))

    def _state(self, request: _Request, session_id: str) -> _Answer:
        session = self._session(request, session_id)
        state, query = session.existing(), request.url.params
        if "at_version" in query:
            state = session.at(int(query["at_version"]))
        if int(query.get("min_version", 0)) > state.version:
            raise UnavailableError("the projection", f"the session is at version {state.version}")
        return _json(200, bodies.state_body(state), {TIER_HEADER: "hot"})

    def _timeline(self, request: _Request, session_id: str) -> _Answer:
        session, query = self._session(request, session_id), request.url.params
        session.existing()
        after, limit = int(query.get("after", 0)), int(query.get("limit", 100))
        page = session.entries[after : after + limit]
        following = str(after + limit) if after + limit < len(session.entries) else None
        return _json(200, {"events": [bodies.event_body(entry) for entry in page], "next": following})

    def _messages(self, request: _Request, session_id: str) -> _Answer:
        session, query = self._session(request, session_id), request.url.params
        session.existing()
        view: Any = query.get("view", "model")
        return _json(200, bodies.messages_body(session.entries, view, int(query["last"]), query.get("before")))

    def _stream(self, request: _Request, session_id: str) -> _Answer:
        session = self._session(request, session_id)
        after = int(request.headers.get("Last-Event-ID", session.existing().version))
        return httpx.Response(200, stream=_Frames(self._log, session, after))

    def _delta(self, request: _Request, session_id: str) -> _Answer:
        session = self._session(request, session_id)
        session.tell({**request.body, "participant": request.actor(session)})
        return httpx.Response(202)

    def _acquire(self, request: _Request, session_id: str, participant: str) -> _Answer:
        session, ttl_s = self._session(request, session_id), request.body["ttl_s"]
        held = session.existing().standing.lease_epoch(participant)
        if held and is_alive(session, participant, held):
            raise LeaseHeldError(f"{participant} holds its lease under epoch {held}", epoch=held)
        data = {"participant": participant, "ttl_s": ttl_s} | ({"supersedes": held} if held else {})
        judged = self._take(request, session, LeaseAcquired.type_name, data, request.actor(session, participant))
        if isinstance(judged.verdict, Accepted):
            session.alive_until_s[participant, judged.verdict.version] = monotonic() + ttl_s
        return self._judged(session, judged)

    def _heartbeat(self, request: _Request, session_id: str, participant: str) -> _Answer:
        session, epoch = self._session(request, session_id), int(request.headers[LEASE_EPOCH_HEADER])
        if session.existing().standing.lease_epoch(participant) != epoch:
            raise FencedError(f"{participant} does not hold epoch {epoch}")
        acquired = json.loads(session.entries[epoch - 1].value)["data"]
        session.alive_until_s[participant, epoch] = monotonic() + acquired["ttl_s"]
        return _json(200, {"epoch": epoch, "ttl_s": acquired["ttl_s"]})

    def _list(self, request: _Request) -> _Answer:
        query = request.url.params
        labels = [label.partition(":") for label in query.get_list("label")]
        found = []
        for session in self._sessions(request):
            state = session.existing()
            present = [(name, entry.principal) for name, entry in state.standing.roster.items() if entry.present]
            there = _words(f"{state.view.title or ''} {state.key.partition('/')[2]}")
            if (
                all(state.view.labels.get(name) == value for name, _, value in labels)
                and query.get("status", state.standing.status) == state.standing.status
                and ("participant" not in query or any(query["participant"] in names for names in present))
                and all(any(each.startswith(word) for each in there) for word in _words(query.get("q", "")))
            ):
                found.append(bodies.listed_body(state))
        return _json(200, {"sessions": found[: int(query.get("limit", len(found)))], "next": None})

    def _interrupts(self, request: _Request) -> _Answer:
        found = [
            {"session": session.key.partition("/")[2], **raised}
            for session in self._sessions(request)
            for raised in _raised(session)
        ]
        return _json(200, {"interrupts": found, "next": None})

    def _session(self, request: _Request, session_id: str) -> MemorySession:
        return self._log.session(f"{request.identity.tenant}/{session_id}")

    def _sessions(self, request: _Request) -> list[MemorySession]:
        prefix = f"{request.identity.tenant}/"
        mine = [session for key, session in self._log.sessions.items() if key.startswith(prefix) and session.version]
        return sorted(mine, key=lambda session: session.entries[-1].timestamp, reverse=True)


class _Request:
    """A request, and who sent it."""

    def __init__(self, identity: Identity, request: httpx.Request) -> None:
        self.identity, self.url, self.headers = identity, request.url, request.headers
        self.body: dict[str, Any] = json.loads(request.content) if request.content else {}

    def require_writing(self) -> None:
        """Raise ``ForbiddenError`` unless the token may write."""
        if self.identity.role not in WRITING_ROLES:
            raise ForbiddenError(f"role {self.identity.role} may not write")

    def actor(self, session: MemorySession, participant: str | None = None) -> str:
        """The principal, or the participant of its own that it names. Raises ``ForbiddenError``."""
        named = participant or self.headers.get(PARTICIPANT_HEADER)
        if named is None:
            return self.identity.principal
        entry = session.existing().standing.roster.get(named)
        if entry is None or entry.principal != self.identity.principal:
            raise ForbiddenError(f"{named} is not a participant of {self.identity.principal}")
        return str(named)


class _Frames(httpx.AsyncByteStream):
    """A session's events and deltas as server-sent events, for ever."""

    def __init__(self, log: MemoryLog, session: MemorySession, after: int) -> None:
        self._following = log.following(session, after)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for what in self._following:
            if isinstance(what, TimelineEntry):
                text = json.dumps(bodies.event_body(what))
                yield f"id: {what.version}\nevent: event\ndata: {text}\n\n".encode()
            else:
                yield f"event: delta\ndata: {json.dumps(what)}\n\n".encode()

    async def aclose(self) -> None:
        await self._following.aclose()


def _identity(request: httpx.Request) -> Identity:
    parts = request.headers.get("Authorization", "").removeprefix("Bearer ").split("/")
    if len(parts) != len(Identity._fields):
        raise UnauthenticatedError("the token is not valid")
    return Identity(*parts)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _raised(session: MemorySession) -> list[dict[str, Any]]:
    """The interrupts that are pending, with what they ask."""
    pending = session.existing().standing.interrupts
    found = []
    for entry in session.entries:
        event = bodies.event_body(entry)
        for type_name, data in inner_events(TimelineEvent.model_validate(event)):
            if type_name == InterruptRaised.type_name and data["interrupt"] in pending:
                raised = {"version": entry.version, "raised_by": event["actor"], "raised_at": event["recorded_at"]}
                found.append({**data, **raised})
    return found


def _json(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> _Answer:
    return httpx.Response(status, json=body, headers=headers)
