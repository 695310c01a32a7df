"""Routes of leases: acquire, keep, look at, give back or take away."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from everlog.domain.verdicts import Accepted, Duplicate, Reason, Verdict
from everlog.gateway import requests
from everlog.gateway.appending import (
    PREFIX,
    AppendTerms,
    Caller,
    PathId,
    Terms,
    answer,
    append,
    json_response,
    measured,
    problem,
    proposal_of,
    rejection_of,
    without_query,
)
from everlog.gateway.delivery import Judged
from everlog.gateway.documents import answers, body_of, needs_header, problems
from everlog.gateway.participation import HANDED_OVER, ReasonParameters
from everlog.gateway.problems import Refusal
from everlog.gateway.roles import Verb, allows, require
from everlog.gateway.services import services_of
from everlog.gateway.sessions import Proposal
from everlog.ports.heartbeats import Lease
from everlog.schemas.errors import ForbiddenError, InvalidEventError
from everlog.schemas.http import (
    LEASE_EPOCH_HEADER,
    PARTICIPANT_HEADER,
    AppendAnswer,
    HeartbeatAnswer,
    HeldLeaseAnswer,
    LeaseAnswer,
    LeaseRequest,
)
from everlog.schemas.identifiers import session_key
from everlog.schemas.payloads import LeaseAcquired, LeaseReleased, LeaseRevoked
from everlog.schemas.times import as_text

router = APIRouter(prefix=f"{PREFIX}/sessions/{{session}}/participants/{{participant}}/lease")
OPERATOR: Final = "system:operator"
"""The actor where a role, not a place in the session, allows to take a lease away; the reason names the principal."""


@router.put(
    "",
    responses=answers(LeaseAnswer, s201="Acquired", s202=HANDED_OVER)
    | problems(404, 410, 412, 415, 423, examples=("held", "closed", "dormant", "forbidden", "unknown-reference")),
    openapi_extra=body_of(LeaseRequest),
    dependencies=[Depends(without_query)],
)
async def acquire(
    request: Request, caller: Caller, session: PathId, participant: PathId, terms: AppendTerms
) -> Response:
    """Acquire the lease of a participant of one's own. One that is held is taken over if its holder has been silent for
    its time to live; else 409 `held` names its epoch, and `Retry-After` when to ask again."""
    require(caller, Verb.LEASE)
    services = services_of(request)
    body = requests.parse_model(LeaseRequest, await requests.read_body(request, "a lease"), "lease")
    data: dict[str, Any] = {"participant": participant, "ttl_s": body.ttl_s}
    if body.supersedes:
        data["supersedes"] = body.supersedes
    terms = _acting_as(terms, participant)
    proposal = proposal_of(request, caller, session, terms, LeaseAcquired.type_name, data)
    judged = await append(request, proposal, terms)
    refused = rejection_of(judged.verdict)
    if refused is not None and refused.reason is Reason.HELD:
        raise await services.leases.refused(judged.key, participant, refused.version)
    more = {"epoch": _accepted_version(judged.verdict), "ttl_s": body.ttl_s}
    return await answer(request, proposal, judged, more=more, from_if_match=terms.if_match is not None)


@router.get("", responses=answers(HeldLeaseAnswer, s200="The lease") | problems(404, 423))
async def look(request: Request, caller: Caller, session: PathId, participant: PathId) -> Response:
    """The lease of a participant, and whether its holder is alive."""
    require(caller, Verb.READ)
    leases, key = services_of(request).leases, session_key(caller.tenant, session)
    epoch = (await leases.held(key, 0)).lease_epoch(participant)
    alive = await leases.alive(Lease(key, participant, epoch)) if epoch else None
    body = {
        "participant": participant,
        "epoch": epoch or None,
        "ttl_s": alive.ttl_s if alive is not None else None,
        "alive_until": as_text(leases.lapses_at(alive.left_s)) if alive is not None else None,
    }
    return json_response(body, 200, {})


@router.post(
    "/heartbeat",
    responses=answers(HeartbeatAnswer, s200="Kept") | problems(404, 423, examples=("fenced", "condition-required")),
    openapi_extra=needs_header(LEASE_EPOCH_HEADER),
    dependencies=[Depends(without_query)],
)
async def keep(request: Request, caller: Caller, session: PathId, participant: PathId, terms: AppendTerms) -> Response:
    """Keep a lease for its time to live; 409 `fenced` says that it is lost for ever."""
    require(caller, Verb.LEASE)
    epoch = _acting_as(terms, participant).lease_epoch
    if epoch is None:
        return _without_epoch(request)
    lease = Lease(session_key(caller.tenant, session), participant, epoch)
    leases = services_of(request).leases
    ttl_s = await leases.keep(lease, caller.principal)
    return json_response({"epoch": epoch, "ttl_s": ttl_s, "alive_until": as_text(leases.lapses_at(ttl_s))}, 200, {})


@router.delete(
    "",
    responses=answers(AppendAnswer, s200="Free", s202=HANDED_OVER)
    | problems(404, 410, 412, 423, examples=("fenced", "closed", "dormant", "forbidden", "condition-required")),
    openapi_extra=needs_header(LEASE_EPOCH_HEADER),
)
async def end(
    request: Request,
    caller: Caller,
    session: PathId,
    participant: PathId,
    terms: AppendTerms,
    parameters: Annotated[ReasonParameters, Query()],
) -> Response:
    """Give the lease of a participant of one's own back; or take another's away, as who governs the session or as an
    operator: what its holder left open is abandoned."""
    require(caller, Verb.LEASE, Verb.REVOKE_LEASE)
    if terms.lease_epoch is None:
        return _without_epoch(request)
    key = session_key(caller.tenant, session)
    standing = await services_of(request).leases.held(key, terms.lease_epoch)
    entry = standing.roster.get(participant)
    data = {"participant": participant, "epoch": terms.lease_epoch, **parameters.model_dump(exclude_none=True)}
    is_own = entry is not None and entry.principal == caller.principal
    type_name = LeaseReleased.type_name if is_own else LeaseRevoked.type_name
    if is_own:
        require(caller, Verb.LEASE)
        terms = _acting_as(terms, participant)
    else:
        terms = terms._replace(lease_epoch=None)  # the epoch is another's
    proposal = proposal_of(request, caller, session, terms, type_name, data)
    governs = allows(caller, Verb.APPEND) and standing.may_govern(terms.participant or caller.principal)
    if is_own or governs:
        judged = await append(request, proposal, terms)
    else:
        judged = await _taken_away(request, proposal, terms)
    return await answer(request, proposal, judged, status=200, from_if_match=terms.if_match is not None)


async def _taken_away(request: Request, proposal: Proposal, terms: Terms) -> Judged:
    """Revoke by the right of a role, whatever one's place in the session."""
    caller = proposal.identity
    if not allows(caller, Verb.REVOKE_LEASE):
        raise ForbiddenError("only who governs the session may take a lease away")
    given = proposal.data.get("reason", "")
    services, key = services_of(request), session_key(caller.tenant, proposal.session)
    arguments = {name: proposal.data[name] for name in ("participant", "epoch")}
    await services.operations.record(caller, "lease revoke", key, given, arguments)
    reason = f"{caller.principal}: {given}" if given else caller.principal
    wait_s = requests.wait_s(terms.prefer, services.settings.verdict_timeout_s)
    revocation = replace(proposal, data=proposal.data | {"reason": reason})
    return await measured(services, services.sessions.append_as_system(revocation, OPERATOR, wait_s))


def _acting_as(terms: Terms, participant: str) -> Terms:
    if terms.participant not in (None, participant):
        raise InvalidEventError(f"{PARTICIPANT_HEADER} names another participant than the path")
    return terms._replace(participant=participant)


def _without_epoch(request: Request) -> Response:
    return problem(request, Refusal("condition-required", f"{LEASE_EPOCH_HEADER} must name the epoch"))


def _accepted_version(verdict: Verdict | None) -> int | None:
    first = verdict.first if isinstance(verdict, Duplicate) else verdict
    return first.version if isinstance(first, Accepted) else None
