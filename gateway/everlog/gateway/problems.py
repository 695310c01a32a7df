"""Errors as RFC 9457 problems: one table of names, statuses and titles, and what becomes of each error.

Nothing leaves here that a caller did not say itself: no content, no addresses, no other tenant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from starlette.responses import Response

from everlog.domain.verdicts import Reason, Rejected
from everlog.gateway.leases import HolderAliveError, LeaseGoneError
from everlog.gateway.reading import NotYetError
from everlog.schemas.errors import (
    EverlogError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    InvalidEventError,
    LimitExceededError,
    NotFoundError,
    ParkedError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)
from everlog.schemas.http import PROBLEM_JSON, PROBLEM_PREFIX

PROBLEMS: Final[Mapping[str, tuple[int, str]]] = {
    "unauthenticated": (401, "A valid token is needed"),
    "forbidden": (403, "Not allowed"),
    "not-found": (404, "No such session or version"),
    "outcome-unknown": (404, "Nothing is known of this event"),
    "no-such-route": (404, "No such route"),
    "unknown-type": (404, "There is no such type of events"),
    "method-not-allowed": (405, "The route does not know this method"),
    "already-open": (409, "It is there already"),
    "closed": (409, "The session is closed"),
    "dormant": (409, "The session is suspended"),
    "exists": (409, "The session exists and was created otherwise"),
    "fenced": (409, "The lease is not the one that is held"),
    "held": (409, "The lease is held"),
    "key-conflict": (409, "State keys are not at their expected versions"),
    "retry-expired": (409, "Too much happened since the first try"),
    "version-conflict": (409, "The session is not at the expected version"),
    "erased": (410, "The session was erased"),
    "limit-exceeded": (413, "Larger than a limit"),
    "unsupported-media-type": (415, "The body must be JSON"),
    "id-reused": (422, "The event id was used with other content"),
    "idempotency-key-reused": (422, "The idempotency key was used with another request"),
    "invalid-request": (422, "The request is not valid"),
    "malformed": (422, "Not an event under the rules"),
    "unknown-reference": (422, "It names what is not there"),
    "parked": (423, "The session waits for an operator"),
    "condition-required": (428, "The request must say what it expects"),
    "rate-limited": (429, "Too many requests"),
    "internal": (500, "Something went wrong here"),
    "not-yet": (503, "The version is not there yet"),
    "unavailable": (503, "Try again later"),
}
"""Name -> status and title; the name ends the problem's type."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem before it knows its request. ``status`` overrides the table's."""

    name: str
    detail: str
    errors: tuple[str, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None


def problem_response(refusal: Refusal, *, instance: str, trace_id: str) -> Response:
    """The answer."""
    status, title = PROBLEMS[refusal.name]
    body = {
        "type": PROBLEM_PREFIX + refusal.name,
        "title": title,
        "status": refusal.status or status,
        "detail": refusal.detail,
        "instance": instance,
        "errors": list(refusal.errors),
        "trace_id": trace_id,
        **refusal.extras,
    }
    content = orjson.dumps(body)
    return Response(content, refusal.status or status, dict(refusal.headers), media_type=PROBLEM_JSON)


def of_error(error: EverlogError) -> Refusal:
    """What a caller is told of an error."""
    extras: dict[str, Any]
    match error:
        case UnauthenticatedError():
            return Refusal("unauthenticated", str(error), headers={"WWW-Authenticate": 'Bearer realm="everlog"'})
        case ForbiddenError():
            return Refusal("forbidden", error.message)
        case NotFoundError():
            return Refusal("not-found", error.message)
        case IdempotencyKeyReusedError():
            return Refusal("idempotency-key-reused", str(error))
        case InvalidEventError():
            return Refusal("invalid-request", str(error), error.errors)
        case LimitExceededError():
            extras = {"limit": error.limit, "maximum": error.maximum, "actual": error.actual}
            return Refusal("limit-exceeded", str(error), extras=extras)
        case HolderAliveError():
            extras = {"outcome": "held", "held_epoch": error.epoch or None}
            return Refusal("held", error.message, extras=extras, headers=retry_after(error.retry_after_s))
        case LeaseGoneError():
            extras = {"outcome": "fenced", "held_epoch": error.held_epoch or None}
            return Refusal("fenced", error.message, extras=extras)
        case ParkedError():
            position = {"partition": error.partition, "offset": error.offset}
            extras = {"last_good_version": error.version, "position": position, "reason": error.reason}
            return Refusal("parked", error.message, extras=extras)
        case NotYetError():
            extras = {"actual_version": error.actual_version}
            return Refusal("not-yet", error.message, extras=extras, headers=retry_after(error.retry_after_s))
        case RateLimitedError():
            return Refusal("rate-limited", error.message, headers=retry_after(error.retry_after_s))
        case UnavailableError():
            detail = f"{error.dependency} does not answer in time"
            return Refusal("unavailable", detail, headers=retry_after(error.retry_after_s))
    return Refusal("internal", "the operators find it in the log by the trace id")


def retry_after(seconds: float) -> dict[str, str]:
    """The header that says when to try again."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def of_rejection(
    rejected: Rejected, event_id: str, events: list[dict[str, Any]], *, from_if_match: bool = False
) -> Refusal:
    """What a caller is told of a rejected event; ``events`` are those between the expected and the actual version."""
    name, detail = rejected.reason.text.replace("_", "-"), rejected.detail
    extras: dict[str, Any] = {"event_id": event_id, "outcome": rejected.reason.text, "actual_version": rejected.version}
    if rejected.reason in (Reason.VERSION_CONFLICT, Reason.KEY_CONFLICT):
        extras |= {"events": events, "keys": list(detail) if rejected.reason is Reason.KEY_CONFLICT else []}
    if rejected.reason is Reason.LIMIT_EXCEEDED and detail:
        extras["limit"] = detail[-1]
    status = 412 if from_if_match and rejected.reason is Reason.VERSION_CONFLICT else None
    named = f" ({', '.join(detail)})" if detail else ""
    text = f"the log rejected the event: {rejected.reason.text}{named}; the session is at version {rejected.version}"
    return Refusal(name, text, detail, extras, status=status)
