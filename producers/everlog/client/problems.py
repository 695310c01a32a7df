"""Problems of the gateway as typed errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import httpx
from pydantic import ValidationError

from everlog.schemas.errors import (
    AlreadyExistsError,
    ClosedError,
    ConfigurationError,
    DormantError,
    ErasedError,
    EverlogError,
    FencedError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    InvalidEventError,
    KeyConflictError,
    LeaseHeldError,
    LimitExceededError,
    NotFoundError,
    ParkedError,
    RateLimitedError,
    RejectedError,
    RetryExpiredError,
    UnauthenticatedError,
    UnavailableError,
    UnknownReferenceError,
    VersionConflictError,
)
from everlog.schemas.http import PROBLEM_PREFIX, Problem

GATEWAY: Final = "the gateway"
LATER: Final = frozenset({429, 502, 503, 504})
"""Statuses, also of proxies, after which the same request may succeed."""
_SIMPLE: Final[dict[str, type[EverlogError]]] = {
    "unauthenticated": UnauthenticatedError,
    "forbidden": ForbiddenError,
    "not-found": NotFoundError,
    "outcome-unknown": NotFoundError,
    "exists": AlreadyExistsError,
    "fenced": FencedError,
    "closed": ClosedError,
    "erased": ErasedError,
    "dormant": DormantError,
    "unknown-reference": UnknownReferenceError,
    "id-reused": IdempotencyKeyReusedError,
    "idempotency-key-reused": IdempotencyKeyReusedError,
    "retry-expired": RetryExpiredError,
}
_NOT_SPOKEN: Final = frozenset({"no-such-route", "method-not-allowed"})


def error_of(answer: httpx.Response) -> EverlogError:
    """The error of an answer that is none of success."""
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        return _unreadable(answer)
    name = problem.type.removeprefix(PROBLEM_PREFIX)
    if answer.status_code in LATER:
        return _later(answer, problem.detail)
    if answer.status_code >= 500:
        return EverlogError(f"{GATEWAY} failed: {problem.detail}", hint=f"Its log knows more of {problem.trace_id}")
    return error_named(name, problem.detail, problem.errors, problem.model_extra or {})


def error_named(name: str, detail: str, errors: list[str], extras: dict[str, Any]) -> EverlogError:
    """The error of a problem's name, or of a verdict's reason with hyphens."""
    actual_version, events = int(extras.get("actual_version") or 0), tuple(extras.get("events") or ())
    keys = tuple(extras.get("keys") or ())
    special: dict[str, Callable[[], EverlogError]] = {
        "version-conflict": lambda: VersionConflictError(detail, actual_version=actual_version, events=events),
        "key-conflict": lambda: KeyConflictError(detail, keys=keys, actual_version=actual_version, events=events),
        "held": lambda: LeaseHeldError(detail, epoch=int(extras.get("held_epoch") or extras.get("epoch") or 0)),
        "parked": lambda: _parked(detail, extras),
        "invalid-request": lambda: InvalidEventError(detail, errors=tuple(errors)),
        "malformed": lambda: InvalidEventError(detail, errors=tuple(errors)),
    }
    if name in special:
        return special[name]()
    if name in _SIMPLE:
        return _SIMPLE[name](detail)
    if name == "limit-exceeded":
        limit = str(extras.get("limit") or next(iter(keys), "size"))
        return LimitExceededError(limit, maximum=extras.get("maximum"), actual=extras.get("actual"))
    if name in _NOT_SPOKEN:
        return ConfigurationError(
            f"{GATEWAY} answered {detail}", hint="Check its address; it may be older than the SDK"
        )
    return RejectedError(name.replace("-", "_"), detail)


def _parked(detail: str, extras: dict[str, Any]) -> ParkedError:
    position = extras.get("position") or {}
    return ParkedError(
        detail,
        version=int(extras.get("last_good_version") or 0),
        reason=str(extras.get("reason") or ""),
        partition=int(position.get("partition") or 0),
        offset=int(position.get("offset") or 0),
    )


def _later(answer: httpx.Response, detail: str) -> UnavailableError:
    error = RateLimitedError if answer.status_code == httpx.codes.TOO_MANY_REQUESTS else UnavailableError
    return error(GATEWAY, detail, retry_after_s=retry_after_s(answer))


def retry_after_s(answer: httpx.Response) -> float:
    """What ``Retry-After`` says, seconds; 1 where it says nothing readable."""
    given = answer.headers.get("retry-after", "")
    return float(given) if given.isascii() and given.isdigit() else 1.0


def _unreadable(answer: httpx.Response) -> EverlogError:
    """An answer of something before the gateway, such as a proxy."""
    said = f"status {answer.status_code} without a problem"
    if answer.status_code in LATER:
        return _later(answer, said)
    return EverlogError(f"{GATEWAY} answered {said}", hint="Check the address: is it Everlog's?")
