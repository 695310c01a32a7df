"""The bodies of answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from everlog.domain.merging import Merge
from everlog.domain.messages import Message, MessageView, decode_cursor, encode_cursor
from everlog.domain.state import State
from everlog.domain.stored import TimelineEntry
from everlog.domain.verdicts import Accepted, Duplicate, Reason, Rejected, Verdict
from everlog.schemas.errors import EverlogError, LimitExceededError
from everlog.schemas.http import PROBLEM_PREFIX
from everlog.schemas.times import as_text

_ERRORS: Final[Mapping[str, tuple[int, str]]] = {
    "UnauthenticatedError": (401, "unauthenticated"),
    "ForbiddenError": (403, "forbidden"),
    "NotFoundError": (404, "not-found"),
    "InvalidEventError": (422, "invalid-request"),
    "LimitExceededError": (413, "limit-exceeded"),
    "FencedError": (409, "fenced"),
    "LeaseHeldError": (409, "held"),
    "UnavailableError": (503, "unavailable"),
}
_REASONS: Final = {Reason.NOT_FOUND: 404, Reason.ERASED: 410, Reason.FORBIDDEN: 403, Reason.LIMIT_EXCEEDED: 413}
_CONFLICT: Final = 409


def append_body(event_id: str, verdict: Verdict | None) -> dict[str, Any]:
    """What became of an event."""
    first = verdict.first if isinstance(verdict, Duplicate) else verdict
    body: dict[str, Any] = {"event_id": event_id, "outcome": "pending", "version": None, "position": None}
    if isinstance(first, Accepted):
        body |= {"outcome": "duplicate" if first is not verdict else "accepted", "version": first.version}
        body["position"] = {"era": 0, "partition": 0, "offset": first.version - 1} if first is verdict else None
    elif isinstance(first, Rejected):
        body |= {"outcome": first.reason.text, "actual_version": first.version, "keys": list(first.detail)}
    return body


def problem_of_rejection(rejected: Rejected, between: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    """Status and body for an event that the law rejected; ``between`` are the events that the caller did not know."""
    named = f" ({', '.join(rejected.detail)})" if rejected.detail else ""
    text = f"the log rejected the event: {rejected.reason.text}{named}; the session is at version {rejected.version}"
    extras: dict[str, Any] = {"actual_version": rejected.version, "events": between}
    if rejected.reason is Reason.KEY_CONFLICT:
        extras["keys"] = list(rejected.detail)
    if rejected.reason is Reason.LIMIT_EXCEEDED and rejected.detail:
        extras["limit"] = rejected.detail[-1]
    name = rejected.reason.text.replace("_", "-")
    return _problem(_REASONS.get(rejected.reason, _CONFLICT), name, text, list(rejected.detail), extras)


def problem_of_error(error: EverlogError) -> tuple[int, dict[str, Any]]:
    """Status and body for what was refused before the law was asked."""
    status, name = _ERRORS.get(type(error).__name__, (500, "internal"))
    extras: dict[str, Any] = {}
    if isinstance(error, LimitExceededError):
        extras = {"limit": error.limit, "maximum": error.maximum, "actual": error.actual}
    if epoch := getattr(error, "epoch", 0):
        extras["held_epoch"] = epoch
    return _problem(status, name, error.message, list(getattr(error, "errors", ())), extras)


def _problem(
    status: int, name: str, detail: str, errors: list[str], extras: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    body = {"type": PROBLEM_PREFIX + name, "title": name, "status": status, "detail": detail, "instance": "memory"}
    return status, {**body, "errors": errors, "trace_id": "0" * 32, **extras}


def state_body(state: State) -> dict[str, Any]:
    """A state."""
    standing, view = state.standing, state.view
    tenant, _, session = state.key.partition("/")
    return {
        "tenant": tenant,
        "session": session,
        **{name: getattr(standing, name) for name in ("version", "status", "owner")},
        **{name: getattr(view, name) for name in ("title", "labels", "state", "created_at", "updated_at")},
        "participants": [
            {
                "participant": name,
                "lease_epoch": entry.lease_epoch or None,
                **{field: getattr(entry, field) for field in ("kind", "role", "present")},
            }
            for name, entry in standing.roster.items()
        ],
        "key_versions": {name: key.version for name, key in standing.keys.items()},
        "usage": {name: getattr(view.usage, name) for name in view.usage.__struct_fields__},
        "open": {name: list(getattr(standing, name)) for name in ("runs", "tool_calls", "interrupts")},
    }


def listed_body(state: State) -> dict[str, Any]:
    """A session in a list."""
    whole = state_body(state)
    shown = ("session", "version", "status", "title", "labels", "owner", "created_at", "updated_at")
    return {**{name: whole[name] for name in shown}, "interrupts": whole["open"]["interrupts"]}


def event_body(entry: TimelineEntry) -> dict[str, Any]:
    """A timeline event."""
    envelope = json.loads(entry.value)
    named = {"correlation_id": envelope.get("correlationid"), "causation_id": envelope.get("causationid")}
    return {
        "version": entry.version,
        "event_id": envelope["id"],
        "recorded_at": _time(entry.timestamp),
        **{name: envelope[name] for name in ("type", "actor", "time", "data")},
        **{name: value for name, value in named.items() if value is not None},
    }


def messages_body(entries: list[TimelineEntry], view: MessageView, count: int, before: str | None) -> dict[str, Any]:
    """A page of messages."""
    merge = Merge(view, count, len(entries), cursor=decode_cursor(before) if before is not None else None)
    while merge.wants:
        merge.add(entries[merge.next - 1])
    for version in merge.wanted():
        merge.learn(entries[version - 1])
    messages, following = merge.page()
    return {
        "messages": [_message_body(message) for message in messages],
        "next": encode_cursor(following) if following is not None else None,
    }


def _message_body(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(message)
    body["recorded_at"] = _time(body.pop("timestamp"))
    return body


def _time(milliseconds: int) -> str:
    return as_text(datetime.fromtimestamp(milliseconds / 1000, UTC))
