"""Routes of taking part: joining and leaving, the session's status, answers to interrupts.

Each is one typed event that goes the way of all appends; what it needs beyond that is said at the route.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from everlog.gateway import requests
from everlog.gateway.appending import (
    PREFIX,
    AppendTerms,
    Caller,
    PathId,
    Terms,
    answer,
    append,
    proposal_of,
    without_query,
)
from everlog.gateway.documents import answers, body_of, problems
from everlog.gateway.identity import Identity
from everlog.gateway.roles import Verb, require
from everlog.gateway.services import services_of
from everlog.schemas.http import (
    AppendAnswer,
    CloseRequest,
    JoinAnswer,
    JoinRequest,
    ReasonRequest,
    ResolveRequest,
)
from everlog.schemas.identifiers import session_key
from everlog.schemas.payloads import (
    InterruptResolved,
    ParticipantJoined,
    ParticipantLeft,
    SessionClosed,
    SessionReopened,
    SessionResumed,
    SessionSuspended,
)
from everlog.schemas.payloads.base import Text

router = APIRouter(prefix=PREFIX)
HANDED_OVER: Final = "Handed over, the verdict is not known yet"
_STATUS_CHANGE: Final[dict[str, Any]] = {
    "responses": answers(AppendAnswer, s201="Changed", s202=HANDED_OVER)
    | problems(404, 410, 412, 415, 423, examples=("closed", "dormant", "fenced", "forbidden")),
    "openapi_extra": body_of(ReasonRequest, is_required=False),
    "dependencies": [Depends(without_query)],
}
"""How a change of the session's status is routed."""
_CLOSING: Final[dict[str, Any]] = _STATUS_CHANGE | {"openapi_extra": body_of(CloseRequest, is_required=False)}


class ReasonParameters(BaseModel):
    """Why somebody leaves, or a lease ends."""

    model_config = ConfigDict(extra="forbid")

    reason: Text | None = Field(default=None, description="Why, for people")


@router.post(
    "/sessions/{session}/participants",
    responses=answers(JoinAnswer, s201="Joined", s202=HANDED_OVER)
    | problems(404, 410, 412, 415, 423, examples=("already-open", "closed", "dormant", "forbidden", "limit-exceeded")),
    openapi_extra=body_of(JoinRequest),
    dependencies=[Depends(without_query)],
)
async def join(request: Request, caller: Caller, session: PathId, terms: AppendTerms) -> Response:
    """Join a session, or let another join; whoever is in it already gets 409 `already-open`."""
    require(caller, Verb.JOIN)
    body = requests.parse_model(JoinRequest, await requests.read_body(request, "a joining"), "joining")
    given = body.model_dump(exclude_none=True, exclude_unset=True)
    name = body.participant or body.principal or terms.participant or caller.principal
    data = given | {"participant": name}
    return await _appended(
        request, caller, session, terms, ParticipantJoined.type_name, data, more={"participant": name}
    )


@router.delete(
    "/sessions/{session}/participants/{participant}",
    responses=answers(AppendAnswer, s200="Left", s202=HANDED_OVER)
    | problems(404, 410, 412, 423, examples=("fenced", "closed", "dormant", "forbidden", "unknown-reference")),
)
async def leave(
    request: Request,
    caller: Caller,
    session: PathId,
    participant: PathId,
    terms: AppendTerms,
    parameters: Annotated[ReasonParameters, Query()],
) -> Response:
    """Leave a session, with the lease epoch where one is held; or send another away, as who governs the session."""
    require(caller, Verb.JOIN)
    terms = terms._replace(
        participant=terms.participant or await _own_participant(request, caller, session, participant)
    )
    data = {"participant": participant, **parameters.model_dump(exclude_none=True)}
    return await _appended(request, caller, session, terms, ParticipantLeft.type_name, data, status=200)


@router.post("/sessions/{session}/suspend", **_STATUS_CHANGE)
async def suspend(request: Request, caller: Caller, session: PathId, terms: AppendTerms) -> Response:
    """Let a session sleep until it is resumed or closed; every lease is freed."""
    return await _change_status(request, caller, session, terms, SessionSuspended.type_name)


@router.post("/sessions/{session}/resume", **_STATUS_CHANGE)
async def resume(request: Request, caller: Caller, session: PathId, terms: AppendTerms) -> Response:
    """Let a suspended session go on."""
    return await _change_status(request, caller, session, terms, SessionResumed.type_name)


@router.post("/sessions/{session}/close", **_CLOSING)
async def close(request: Request, caller: Caller, session: PathId, terms: AppendTerms) -> Response:
    """End a session: leases are freed, what is open is abandoned."""
    return await _change_status(request, caller, session, terms, SessionClosed.type_name, CloseRequest)


@router.post("/sessions/{session}/reopen", **_STATUS_CHANGE)
async def reopen(request: Request, caller: Caller, session: PathId, terms: AppendTerms) -> Response:
    """Let a closed session go on."""
    return await _change_status(request, caller, session, terms, SessionReopened.type_name)


@router.post(
    "/sessions/{session}/interrupts/{interrupt}/resolve",
    responses=answers(AppendAnswer, s201="Resolved", s202=HANDED_OVER)
    | problems(404, 410, 412, 415, 423, examples=("closed", "dormant", "fenced", "forbidden", "unknown-reference")),
    openapi_extra=body_of(ResolveRequest),
    dependencies=[Depends(without_query)],
)
async def resolve(request: Request, caller: Caller, session: PathId, interrupt: PathId, terms: AppendTerms) -> Response:
    """Answer an interrupt, or say that nobody needs an answer; one that is not open gets 422 `unknown-reference`."""
    require(caller, Verb.RESOLVE)
    body = requests.parse_model(ResolveRequest, await requests.read_body(request, "an answer"), "answer")
    data = {"interrupt": interrupt, **body.model_dump(exclude_unset=True)}
    return await _appended(request, caller, session, terms, InterruptResolved.type_name, data)


async def _own_participant(request: Request, caller: Identity, session: str, participant: str) -> str | None:
    """The participant, if it is one of the caller's own; None if it is another's or not there.

    Raises ``NotFoundError`` where there is no session.
    """
    shown = await services_of(request).reader.last_good(session_key(caller.tenant, session))
    entry = shown.state.standing.roster.get(participant)
    return participant if entry is not None and entry.principal == caller.principal else None


async def _change_status(
    request: Request,
    caller: Identity,
    session: str,
    terms: Terms,
    type_name: str,
    model: type[BaseModel] = ReasonRequest,
) -> Response:
    require(caller, Verb.CHANGE_STATUS)
    given = await requests.read_body(request, "a change of status") if await request.body() else {}
    data = requests.parse_model(model, given, "change of status").model_dump(exclude_none=True)
    return await _appended(request, caller, session, terms, type_name, data)


async def _appended(
    request: Request,
    caller: Identity,
    session: str,
    terms: Terms,
    type_name: str,
    data: dict[str, Any],
    *,
    status: int = 201,
    more: Mapping[str, Any] | None = None,
) -> Response:
    proposal = proposal_of(request, caller, session, terms, type_name, data)
    judged = await append(request, proposal, terms)
    from_if_match = terms.if_match is not None
    return await answer(request, proposal, judged, status=status, more=more, from_if_match=from_if_match)
