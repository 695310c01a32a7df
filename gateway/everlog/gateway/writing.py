"""Routes that write: a session is created, changed, appended to."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from everlog.domain.registry import BATCH
from everlog.domain.verdicts import Duplicate
from everlog.gateway import requests
from everlog.gateway.appending import (
    PREFIX,
    AppendTerms,
    Caller,
    PathId,
    answer,
    append,
    appended,
    authenticated,
    measured,
    problem,
    proposal_of,
    rejection_of,
    terms_of,
    without_query,
)
from everlog.gateway.direct import DirectRoute
from everlog.gateway.documents import answers, body_of, needs_header, problems
from everlog.gateway.identity import Identity
from everlog.gateway.problems import Refusal, of_rejection
from everlog.gateway.roles import Verb, require
from everlog.gateway.services import services_of
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.http import (
    AppendAnswer,
    BatchRequest,
    ChangeRequest,
    CreateAnswer,
    CreateRequest,
    EventRequest,
)
from everlog.schemas.identifiers import full_type
from everlog.schemas.payloads import SessionMetadataUpdated, StatePatched
from everlog.schemas.payloads.base import KeyVersion

router = APIRouter(prefix=PREFIX, route_class=DirectRoute)
_CREATED: Final = answers(CreateAnswer, s200="The same creation again", s201="Created", s202="Not known yet")
_APPENDED: Final = answers(AppendAnswer, s201="Accepted", s202="Handed over, the verdict is not known yet")
_REFUSED: Final = (404, 409, 410, 412, 415, 423)


class ChangeParameters(BaseModel):
    """On what a change depends."""

    model_config = ConfigDict(extra="forbid")

    expected_version: KeyVersion | None = Field(default=None, description="Version that the session must have")


@router.post(
    "/sessions",
    responses=_CREATED | problems(409, 415, examples=("exists", "idempotency-key-reused", "rate-limited")),
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
    require(caller, Verb.CREATE)
    body = requests.parse_model(CreateRequest, await requests.read_body(request, "a session"), "session")
    return await _create(request, caller, body, idempotency_key, prefer)


@router.put(
    "/sessions/{session}",
    responses=_CREATED
    | problems(409, 415, examples=("exists", "idempotency-key-reused", "condition-required", "rate-limited")),
    openapi_extra=body_of(CreateRequest) | needs_header("If-None-Match", "*"),
    dependencies=[Depends(without_query)],
)
async def put_session(
    request: Request,
    caller: Caller,
    session: PathId,
    if_none_match: Annotated[str | None, Header()] = None,
    idempotency_key: Annotated[str | None, Header()] = None,
    prefer: Annotated[str | None, Header()] = None,
) -> Response:
    """Create a session under an id of the caller's. `If-None-Match: *` is needed: a session is never replaced."""
    require(caller, Verb.CREATE)
    if (if_none_match or "").strip() != "*":
        return problem(request, Refusal("condition-required", "say If-None-Match: * to create a session"))
    body = requests.parse_model(CreateRequest, await requests.read_body(request, "a session"), "session")
    if body.id not in (None, session):
        raise InvalidEventError("the id in the body is not the one in the address", hint="Leave it out")
    return await _create(request, caller, body.model_copy(update={"id": session}), idempotency_key, prefer)


@router.patch(
    "/sessions/{session}",
    responses=_APPENDED | problems(*_REFUSED, examples=("version-conflict", "key-conflict", "rate-limited")),
    openapi_extra=body_of(ChangeRequest),
)
async def change_session(
    request: Request,
    caller: Caller,
    session: PathId,
    terms: AppendTerms,
    parameters: Annotated[ChangeParameters, Query()],
) -> Response:
    """Change title, labels and state as one atomic event."""
    require(caller, Verb.APPEND)
    body = requests.parse_model(ChangeRequest, await requests.read_body(request, "a change"), "change")
    proposal = replace(
        proposal_of(request, caller, session, terms, *_change(body)),
        expected_version=requests.expected_version(terms.if_match, parameters.expected_version),
    )
    judged = await append(request, proposal, terms)
    return await answer(request, proposal, judged, from_if_match=terms.if_match is not None)


@router.post(
    "/sessions/{session}/events",
    responses=_APPENDED
    | problems(*_REFUSED, examples=("version-conflict", "key-conflict", "retry-expired", "rate-limited")),
    openapi_extra=body_of(EventRequest, BatchRequest),
    dependencies=[Depends(without_query)],
)
async def append_event(request: Request, caller: Caller, session: PathId, terms: AppendTerms) -> Response:
    """Append one event, or several as one atomic batch."""
    require(caller, Verb.APPEND)
    body = requests.parse_append(await requests.read_body(request, "an event"))
    proposal = replace(
        proposal_of(
            request,
            caller,
            session,
            terms,
            full_type(body.type) if isinstance(body, EventRequest) else BATCH,
            body.data if isinstance(body, EventRequest) else _batch_data(body),
        ),
        idempotency_key=requests.idempotency_key(terms.idempotency_key, body.id),
        expected_version=requests.expected_version(terms.if_match, body.expected_version),
        correlation_id=body.correlation_id,
        causation_id=body.causation_id,
    )
    judged = await append(request, proposal, terms)
    return await answer(request, proposal, judged, from_if_match=terms.if_match is not None)


async def _append_event(request: Request) -> Response:
    await without_query(request)
    caller = await authenticated(request, None)
    return await append_event(request, caller, requests.path_id(request, "session"), terms_of(request.headers))


DirectRoute.resolved[append_event] = _append_event


async def _create(
    request: Request, caller: Identity, body: CreateRequest, idempotency_key: str | None, prefer: str | None
) -> Response:
    services = services_of(request)
    key = requests.idempotency_key(idempotency_key, None)
    wait_s = requests.wait_s(prefer, services.settings.verdict_timeout_s)
    judged = await measured(services, services.sessions.create(caller, body, key, wait_s))
    session = judged.key.partition("/")[2]
    verdict = judged.verdict
    if refused := rejection_of(verdict):
        return problem(request, of_rejection(refused, judged.event_id, []))
    headers = {"Location": f"{PREFIX}/sessions/{session}"}
    return appended(session, judged, 200 if isinstance(verdict, Duplicate) else 201, headers, {"session": session})


def _change(body: ChangeRequest) -> tuple[str, dict[str, Any]]:
    """The event that makes a change, by type and data: one of its kind, or a batch of both."""
    changes: list[tuple[str, dict[str, Any]]] = []
    metadata = body.model_dump(include={"title", "labels"}, exclude_unset=True)
    if metadata:
        changes.append((SessionMetadataUpdated.type_name, metadata))
    if body.state is not None:
        changes.append((StatePatched.type_name, body.state.model_dump(exclude_defaults=True)))
    if not changes:
        raise InvalidEventError("nothing is to be changed", hint="Name title, labels or state")
    if len(changes) == 1:
        return changes[0]
    return BATCH, {"events": [{"type": type_name, "data": data} for type_name, data in changes]}


def _batch_data(body: BatchRequest) -> dict[str, Any]:
    return {"events": [{"type": full_type(inner.type), "data": inner.data} for inner in body.events]}
