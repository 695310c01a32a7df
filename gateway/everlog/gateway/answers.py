"""The bodies of answers, written once: dictionaries that orjson turns into bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from everlog.domain.envelope import Envelope
from everlog.domain.record import Position
from everlog.domain.stored import TimelineEntry
from everlog.domain.verdicts import Accepted, Duplicate, Rejected, Verdict
from everlog.gateway.reading import Shown
from everlog.schemas.identifiers import split_key

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


def event_body(entry: TimelineEntry) -> dict[str, Any]:
    """A ``TimelineEvent``; the data are the record's own bytes."""
    envelope = _envelopes.decode(entry.value)
    recorded_at = datetime.fromtimestamp(entry.timestamp / 1000, UTC).isoformat(timespec="milliseconds")
    body: dict[str, Any] = {
        "version": entry.version,
        "event_id": envelope.id,
        "type": envelope.type,
        "actor": envelope.actor,
        "recorded_at": recorded_at.replace("+00:00", "Z"),
        "time": envelope.time,
        "data": orjson.Fragment(bytes(envelope.data)),
    }
    if envelope.correlationid is not None:
        body["correlation_id"] = envelope.correlationid
    if envelope.causationid is not None:
        body["causation_id"] = envelope.causationid
    return body
