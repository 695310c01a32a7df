"""The routes below ``/v1``: from a request to a service's call, from its result to an answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from everlog.domain.registry import BATCH
from everlog.domain.verdicts import Accepted, Duplicate, Rejected, Verdict
from everlog.domain.view import FOLD_VERSION
from everlog.gateway import requests
from everlog.gateway.answers import append_body, etag, event_body, outcome_name, state_body
from everlog.gateway.conflicts import events_between
from everlog.gateway.documents import answers, body_of, problems
from everlog.gateway.identity import Identity
from everlog.gateway.problems import Refusal, of_rejection, problem_response
from everlog.gateway.roles import Verb, require
from everlog.gateway.services import Services, services_of
from everlog.gateway.sessions import Judged, Proposal
from everlog.schemas.errors import EverlogError, InvalidEventError
from everlog.schemas.http import (
    JSON,
    PAGE_DEFAULT,
    PAGE_MAX,
    TIER_HEADER,
    AppendAnswer,
    BatchRequest,
    CreateAnswer,
    CreateRequest,
    EventRequest,
    StateAnswer,
    TimelinePage,
)
from everlog.schemas.identifiers import IDENTIFIER_PATTERN, full_type, session_key
from everlog.schemas.limits import SAFE_INTEGER
from everlog.schemas.payloads.base import KeyVersion

PREFIX: Final = "/v1"
router = APIRouter(prefix=PREFIX)
_bearer: Final = HTTPBearer(auto_error=False, description="A JWT, signed with EdDSA")


async def authenticated(
    request: Request, _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> Identity:
    """Who is asking. Raises ``UnauthenticatedError``."""
    return await services_of(request).verifier.identify(request.headers.get("authorization"))


async def without_query(request: Request) -> None:
    """Refuse query parameters where there are none: a typing error must not be ignored."""
    if request.url.query:
        raise InvalidEventError("this route takes no query parameters")


Caller = Annotated[Identity, Depends(authenticated)]
_Id = Annotated[str, Path(pattern=IDENTIFIER_PATTERN)]
_IdHeader = Annotated[str | None, Header(pattern=IDENTIFIER_PATTERN)]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StateParameters(_Parameters):
    """Which version of a state."""

    min_version: int | None = Field(default=None, ge=1, le=SAFE_INTEGER, description="At least this one, waited for")
    at_version: int | None = Field(default=None, ge=1, le=SAFE_INTEGER, description="Exactly this one")


class PageParameters(_Parameters):
    """Which page of a timeline."""

    after: KeyVersion | None = Field(default=None, description="Version behind which the page begins: a page's `next`")
    limit: int = Field(default=PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    order: Literal["asc", "desc"] = Field(default="asc", description="desc: newest first")


class OutcomeParameters(_Parameters):
    """Where to look for an event."""

    after: KeyVersion | None = Field(default=None, description="Version known before the event was handed over")


@router.post(
    "/sessions",
    responses=answers(CreateAnswer, s200="The same creation again", s201="Created", s202="Not known yet")
    | problems(409, 415),
    openapi_extra=body_of(CreateRequest),
    dependencies=[Depends(without_query)],
)
async def create_session(
    request: Request,
    caller: Caller,
    idempotency_key: Annotated[str | None, Header()] = None,
    prefer: Annotated[str | None, Header()] = None,
) -> Response:
    """Create a session; its owner is the token's principal."""
    services = services_of(request)
    require(caller, Verb.CREATE)
    body = requests.parse_model(CreateRequest, await requests.read_body(request, "a session"), "session")
    key = requests.idempotency_key(idempotency_key, None)
    wait_s = requests.wait_s(prefer, services.settings.verdict_timeout_s)
    judged = await _measured(services, services.sessions.create(caller, body, key, wait_s))
    session = judged.key.partition("/")[2]
    verdict = judged.verdict
    if refused := _refused(verdict):
        return _problem(request, of_rejection(refused, judged.event_id, []))
    headers = {"Location": f"{PREFIX}/sessions/{session}"}
    return _appended(session, judged, 200 if isinstance(verdict, Duplicate) else 201, headers, {"session": session})


@router.get("/sessions/{session}", responses=answers(StateAnswer, s200="The state") | problems(404, 423))
async def read_state(
    request: Request,
    caller: Caller,
    session: _Id,
    parameters: Annotated[StateParameters, Query()],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The state of a session: as it stands, at a version, or at least at one."""
    services = services_of(request)
    require(caller, Verb.READ)
    key = session_key(caller.tenant, session)
    if parameters.at_version is not None:
        if parameters.min_version is not None:
            raise InvalidEventError("min_version and at_version exclude each other")
        shown = await services.reader.at(key, parameters.at_version)
    else:
        shown = await services.reader.at_least(key, parameters.min_version or 0)
    services.metrics.tier_reads.labels(shown.tier).inc()
    headers = {"ETag": etag(shown), TIER_HEADER: shown.tier}
    if requests.none_match(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return _json(state_body(shown), 200, headers)


@router.post(
    "/sessions/{session}/events",
    responses=answers(AppendAnswer, s201="Accepted", s202="Handed over, the verdict is not known yet")
    | problems(404, 409, 410, 412, 415, 423),
    openapi_extra=body_of(EventRequest, BatchRequest),
    dependencies=[Depends(without_query)],
)
async def append_event(
    request: Request,
    caller: Caller,
    session: _Id,
    everlog_participant: _IdHeader = None,
    everlog_lease_epoch: Annotated[int | None, Header(ge=0, le=SAFE_INTEGER)] = None,
    idempotency_key: Annotated[str | None, Header()] = None,
    if_match: Annotated[str | None, Header()] = None,
    prefer: Annotated[str | None, Header()] = None,
) -> Response:
    """Append one event, or several as one atomic batch."""
    services = services_of(request)
    require(caller, Verb.APPEND)
    body = requests.parse_append(await requests.read_body(request, "an event"))
    proposal = Proposal(
        identity=caller,
        session=session,
        type=full_type(body.type) if isinstance(body, EventRequest) else BATCH,
        data=body.data if isinstance(body, EventRequest) else _batch_data(body),
        idempotency_key=requests.idempotency_key(idempotency_key, body.id),
        participant=everlog_participant,
        lease_epoch=everlog_lease_epoch,
        expected_version=requests.expected_version(if_match, body.expected_version),
        correlation_id=body.correlation_id,
        causation_id=body.causation_id,
        traceparent=requests.traceparent(request.headers.get("traceparent"))[0],
    )
    wait_s = requests.wait_s(prefer, services.settings.verdict_timeout_s)
    judged = await _measured(services, services.sessions.append(proposal, wait_s))
    if refused := _refused(judged.verdict):
        events = await events_between(services.timelines, judged.key, proposal, refused)
        refusal = of_rejection(refused, judged.event_id, events, from_if_match=if_match is not None)
        return _problem(request, refusal)
    return _appended(session, judged, 201, {}, {})


@router.get("/sessions/{session}/events", responses=answers(TimelinePage, s200="A page") | problems(404, 423))
async def read_timeline(
    request: Request, caller: Caller, session: _Id, parameters: Annotated[PageParameters, Query()]
) -> Response:
    """A page of the session's accepted events."""
    services = services_of(request)
    require(caller, Verb.READ)
    page = await services.timelines.page(
        session_key(caller.tenant, session),
        after=parameters.after,
        limit=parameters.limit,
        newest_first=parameters.order == "desc",
    )
    services.metrics.tier_reads.labels(page.tier).inc()
    headers: dict[str, str] = {TIER_HEADER: page.tier}
    following = str(page.next_after) if page.next_after is not None else None
    if following is not None:
        query = urlencode({"after": following, "limit": parameters.limit, "order": parameters.order})
        headers["Link"] = f'<{PREFIX}/sessions/{session}/events?{query}>; rel="next"'
    return _json({"events": [event_body(entry) for entry in page.entries], "next": following}, 200, headers)


@router.get(
    "/sessions/{session}/outcomes/{event_id}",
    responses=answers(AppendAnswer, s200="What became of the event") | problems(404, 423),
)
async def read_outcome(
    request: Request, caller: Caller, session: _Id, event_id: _Id, parameters: Annotated[OutcomeParameters, Query()]
) -> Response:
    """The verdict on an event: where a 202 points to."""
    services = services_of(request)
    require(caller, Verb.READ)
    verdict = await services.finder.find(session_key(caller.tenant, session), event_id, parameters.after)
    if verdict is None:
        return _problem(request, Refusal("outcome-unknown", f"nothing is known of an event {event_id}"))
    return _json(append_body(event_id, verdict, None), 200, {})


async def _measured(services: Services, judging: Awaitable[Judged]) -> Judged:
    """Await an append, and count how it ended and how long it took."""
    begun_s, outcome = time.perf_counter(), "failed"
    try:
        judged = await judging
        outcome = outcome_name(judged.verdict)
    except EverlogError as error:
        outcome = "unavailable" if error.retryable else "refused"
        raise
    finally:
        services.metrics.append_seconds.labels(outcome).observe(time.perf_counter() - begun_s)
    if judged.verdict is not None:
        services.metrics.verdicts.labels(outcome).inc()
    return judged


def _batch_data(body: BatchRequest) -> dict[str, Any]:
    return {"events": [{"type": full_type(inner.type), "data": inner.data} for inner in body.events]}


def _refused(verdict: Verdict | None) -> Rejected | None:
    """The rejection, of the event itself or of the first try that it repeats."""
    first = verdict.first if isinstance(verdict, Duplicate) else verdict
    return first if isinstance(first, Rejected) else None


def _appended(session: str, judged: Judged, status: int, headers: dict[str, str], more: dict[str, Any]) -> Response:
    body = append_body(judged.event_id, judged.verdict, judged.position) | more
    first = judged.verdict.first if isinstance(judged.verdict, Duplicate) else judged.verdict
    if isinstance(first, Accepted):
        return _json(body, status, headers | {"ETag": f'"{first.version}.{FOLD_VERSION}"'})
    location = f"{PREFIX}/sessions/{session}/outcomes/{judged.event_id}?after={judged.known_version}"
    return _json(body, 202, headers | {"Location": location})


def _json(body: dict[str, Any], status: int, headers: dict[str, str]) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type=JSON)


def _problem(request: Request, refusal: Refusal) -> Response:
    return problem_response(refusal, instance=request.url.path, trace_id=request.state.trace_id)
