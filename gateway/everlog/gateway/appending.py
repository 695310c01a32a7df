"""What all routes that append have in common: their headers, and how a verdict is answered."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping
from typing import Annotated, Any, Final, NamedTuple

import orjson
from fastapi import Depends, Header, Path, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers

from everlog.domain.verdicts import Accepted, Duplicate, Rejected, Verdict
from everlog.domain.view import FOLD_VERSION
from everlog.gateway import requests
from everlog.gateway.answers import append_body, outcome_name
from everlog.gateway.conflicts import events_between
from everlog.gateway.delivery import Judged
from everlog.gateway.identity import Identity
from everlog.gateway.problems import Refusal, of_rejection, problem_response
from everlog.gateway.services import Services, services_of
from everlog.gateway.sessions import Proposal
from everlog.schemas.errors import ConflictError, EverlogError, InvalidEventError
from everlog.schemas.http import JSON, LEASE_EPOCH_HEADER, PARTICIPANT_HEADER
from everlog.schemas.identifiers import IDENTIFIER_PATTERN, is_identifier
from everlog.schemas.limits import SAFE_INTEGER

PREFIX: Final = "/v1"
_bearer: Final = HTTPBearer(auto_error=False, description="A JWT, signed with EdDSA")


async def authenticated(
    request: Request, _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> Identity:
    """Who is asking. Raises ``UnauthenticatedError``, and ``RateLimitedError`` for who asks too often."""
    services = services_of(request)
    identity = await services.verifier.identify(request.headers.get("authorization"))
    request.state.identity = identity
    services.buckets.take(identity)
    return identity


async def without_query(request: Request) -> None:
    """Refuse query parameters where there are none: a typing error must not be ignored."""
    if request.scope["query_string"]:
        raise InvalidEventError("this route takes no query parameters")


Caller = Annotated[Identity, Depends(authenticated)]
PathId = Annotated[str, Path(pattern=IDENTIFIER_PATTERN)]
IdHeader = Annotated[str | None, Header(pattern=IDENTIFIER_PATTERN)]
EpochHeader = Annotated[int | None, Header(ge=0, le=SAFE_INTEGER)]


class Terms(NamedTuple):
    """How an append is asked for: the headers that all routes of this kind take."""

    participant: str | None
    lease_epoch: int | None
    idempotency_key: str | None
    if_match: str | None
    prefer: str | None


async def append_terms(
    everlog_participant: IdHeader = None,
    everlog_lease_epoch: EpochHeader = None,
    idempotency_key: Annotated[str | None, Header()] = None,
    if_match: Annotated[str | None, Header()] = None,
    prefer: Annotated[str | None, Header()] = None,
) -> Terms:
    """The headers of an append."""
    return Terms(everlog_participant, everlog_lease_epoch, idempotency_key, if_match, prefer)


AppendTerms = Annotated[Terms, Depends(append_terms)]


def terms_of(headers: Headers) -> Terms:
    """The same, read by hand. Raises ``InvalidEventError``."""
    participant, epoch = headers.get(PARTICIPANT_HEADER), headers.get(LEASE_EPOCH_HEADER)
    if participant is not None and not is_identifier(participant):
        raise InvalidEventError(f"{PARTICIPANT_HEADER} is not an identifier")
    if epoch is not None and not (epoch.isascii() and epoch.isdigit() and int(epoch[:17]) <= SAFE_INTEGER):
        raise InvalidEventError(f"{LEASE_EPOCH_HEADER} is not the number of a version")
    lease_epoch = int(epoch) if epoch is not None else None
    key, if_match, prefer = headers.get("idempotency-key"), headers.get("if-match"), headers.get("prefer")
    return Terms(participant, lease_epoch, key, if_match, prefer)


def proposal_of(
    request: Request, caller: Identity, session: str, terms: Terms, type_name: str, data: dict[str, Any]
) -> Proposal:
    """What these terms propose; ``type_name`` in full. Raises ``InvalidEventError`` for headers that are not valid."""
    return Proposal(
        identity=caller,
        session=session,
        type=type_name,
        data=data,
        idempotency_key=requests.idempotency_key(terms.idempotency_key, None),
        participant=terms.participant,
        lease_epoch=terms.lease_epoch,
        expected_version=requests.expected_version(terms.if_match, None),
        traceparent=requests.traceparent(request.headers.get("traceparent"))[0],
    )


async def append(request: Request, proposal: Proposal, terms: Terms) -> Judged:
    """Append a proposal and wait as long as the caller prefers. Raises as ``Sessions.append`` does."""
    services = services_of(request)
    wait_s = requests.wait_s(terms.prefer, services.settings.verdict_timeout_s)
    return await measured(services, services.sessions.append(proposal, wait_s))


async def answer(
    request: Request,
    proposal: Proposal,
    judged: Judged,
    *,
    status: int = 201,
    more: Mapping[str, Any] | None = None,
    from_if_match: bool = False,
) -> Response:
    """The answer of an append: its outcome with ``more`` fields, or the problem that it met."""
    if refused := rejection_of(judged.verdict):
        events = await events_between(services_of(request).timelines, judged.key, proposal, refused)
        return problem(request, of_rejection(refused, judged.event_id, events, from_if_match=from_if_match))
    return appended(proposal.session, judged, status, {}, more or {})


async def measured(services: Services, judging: Awaitable[Judged]) -> Judged:
    """Await an append, and count how it ended and how long it took."""
    begun_s, outcome = time.perf_counter(), "failed"
    try:
        judged = await judging
        outcome = outcome_name(judged.verdict)
    except EverlogError as error:
        outcome = "unavailable" if error.retryable and not isinstance(error, ConflictError) else "refused"
        raise
    finally:
        services.metrics.append_seconds.labels(outcome).observe(time.perf_counter() - begun_s)
    if judged.verdict is not None:
        services.metrics.verdicts.labels(outcome).inc()
    return judged


def rejection_of(verdict: Verdict | None) -> Rejected | None:
    """The rejection, of the event itself or of the first try that it repeats."""
    first = verdict.first if isinstance(verdict, Duplicate) else verdict
    return first if isinstance(first, Rejected) else None


def appended(session: str, judged: Judged, status: int, headers: dict[str, str], more: Mapping[str, Any]) -> Response:
    """The answer of an append that was accepted, or whose verdict is not known yet."""
    body = {**append_body(judged.event_id, judged.verdict, judged.position), **more}
    first = judged.verdict.first if isinstance(judged.verdict, Duplicate) else judged.verdict
    if isinstance(first, Accepted):
        return json_response(body, status, headers | {"ETag": f'"{first.version}.{FOLD_VERSION}"'})
    location = f"{PREFIX}/sessions/{session}/outcomes/{judged.event_id}?after={judged.known_version}"
    return json_response(body, 202, headers | {"Location": location})


def json_response(body: Mapping[str, Any], status: int, headers: dict[str, str]) -> Response:
    """An answer in JSON."""
    return Response(orjson.dumps(body), status, headers, media_type=JSON)


def problem(request: Request, refusal: Refusal) -> Response:
    """A problem as the answer to a request."""
    return problem_response(refusal, instance=request.url.path, trace_id=request.state.trace_id)
