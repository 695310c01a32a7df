"""The bodies of answers, written once: dictionaries that orjson turns into bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from everlog.domain.envelope import Envelope
from everlog.domain.messages import Message
from everlog.domain.record import Position
from everlog.domain.stored import StoredSession, TimelineEntry
from everlog.domain.types.interrupt import InterruptRaised
from everlog.domain.verdicts import Accepted, Duplicate, Rejected, Verdict
from everlog.gateway.reading import Shown
from everlog.schemas.identifiers import split_key
from everlog.schemas.times import as_text

_envelopes: Final = msgspec.json.Decoder(Envelope)
PENDING: Final = "pending"


def outcome_name(verdict: Verdict | None) -> str:
    """A verdict in one word."""
    match verdict:
        case None:
            return PENDING
        case Accepted():
            return "accepted"
        case Duplicate():
            return "duplicate"
        case Rejected(reason):
            return reason.text


def append_body(event_id: str, verdict: Verdict | None, position: Position | None) -> dict[str, Any]:
    """An ``AppendAnswer``; a duplicate shows the version of the first, whose position is another."""
    first = verdict.first if isinstance(verdict, Duplicate) else verdict
    body: dict[str, Any] = {
        "event_id": event_id,
        "outcome": outcome_name(verdict),
        "version": first.version if isinstance(first, Accepted) else None,
        "position": position._asdict() if position is not None and not isinstance(verdict, Duplicate) else None,
    }
    if isinstance(first, Rejected):
        body |= {"actual_version": first.version, "keys": list(first.detail)}
    return body


def etag(shown: Shown) -> str:
    """``"<version>.<fold version>"``, in its quotation marks."""
    return f'"{shown.version}.{shown.fold_version}"'


def state_body(shown: Shown) -> dict[str, Any]:
    """A ``StateAnswer``."""
    standing, view = shown.state.standing, shown.state.view
    tenant, session = split_key(shown.state.key)
    return {
        "tenant": tenant,
        "session": session,
        "version": standing.version,
        "status": standing.status,
        "title": view.title,
        "labels": view.labels,
        "owner": standing.owner,
        "participants": [
            {
                "participant": name,
                "kind": entry.kind,
                "role": entry.role,
                "present": entry.present,
                "lease_epoch": entry.lease_epoch or None,
            }
            for name, entry in standing.roster.items()
        ],
        "state": view.state,
        "key_versions": {name: entry.version for name, entry in standing.keys.items()},
        "usage": {
            "input_tokens": view.usage.input_tokens,
            "output_tokens": view.usage.output_tokens,
            "cost_micros": view.usage.cost_micros,
        },
        "open": {
            "runs": list(standing.runs),
            "tool_calls": list(standing.tool_calls),
            "interrupts": list(standing.interrupts),
        },
        "created_at": view.created_at,
        "updated_at": view.updated_at,
    }


def message_body(message: Message) -> dict[str, Any]:
    """A ``MessageAnswer``."""
    body: dict[str, Any] = msgspec.to_builtins(message)
    body["recorded_at"] = _recorded_at(body.pop("timestamp"))
    return body


def listed_body(stored: StoredSession) -> dict[str, Any]:
    """A ``ListedSession``."""
    session = split_key(stored.key)[1]
    if stored.state is None:
        stub = stored.stub
        status, labels = (stub.status, stub.labels) if stub is not None else ("", {})
        return {"session": session, "version": stored.version, "status": status, "labels": labels}
    standing, view = stored.state.standing, stored.state.view
    return {
        "session": session,
        "version": standing.version,
        "status": standing.status,
        "title": view.title,
        "labels": view.labels,
        "owner": standing.owner,
        "interrupts": list(standing.interrupts),
        "created_at": view.created_at,
        "updated_at": view.updated_at,
    }


def interrupt_body(
    session: str, interrupt: str, raised_by: str, entry: TimelineEntry | None, raised: InterruptRaised | None
) -> dict[str, Any]:
    """An ``InterruptAnswer``; without its event only its name and who raised it are told."""
    body: dict[str, Any] = {"session": session, "interrupt": interrupt, "raised_by": raised_by}
    if entry is None or raised is None:
        return body
    return body | {
        "version": entry.version,
        "reason": raised.reason,
        "message": msgspec.to_builtins(raised.message),
        "response_schema": raised.response_schema,
        "tool_call": raised.tool_call,
        "expires_at": raised.expires_at,
        "raised_at": _recorded_at(entry.timestamp),
    }


def event_body(entry: TimelineEntry) -> dict[str, Any]:
    """A ``TimelineEvent``; the data are the record's own bytes."""
    envelope = _envelopes.decode(entry.value)
    body: dict[str, Any] = {
        "version": entry.version,
        "event_id": envelope.id,
        "type": envelope.type,
        "actor": envelope.actor,
        "recorded_at": _recorded_at(entry.timestamp),
        "time": envelope.time,
        "data": orjson.Fragment(bytes(envelope.data)),
    }
    if envelope.correlationid is not None:
        body["correlation_id"] = envelope.correlationid
    if envelope.causationid is not None:
        body["causation_id"] = envelope.causationid
    return body


def _recorded_at(timestamp_ms: int) -> str:
    return as_text(datetime.fromtimestamp(timestamp_ms / 1000, UTC))
