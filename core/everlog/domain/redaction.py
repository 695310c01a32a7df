"""Redactions: what they take back from the copies of a session's events that readers are given.

Log and archive keep what was said until the session is erased. The warm and the hot copy of a message that is redacted
lose their content, and so do those of the edits that it had: the entries stay, and are valid events still. An edit that
comes after the redaction keeps its own; readers of messages do not show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from everlog.domain.event import Payload
from everlog.domain.messages import Place
from everlog.domain.registry import BATCH
from everlog.domain.stored import TimelineEntry
from everlog.domain.types.batch import BatchAppended
from everlog.domain.types.message import MessageEdited, MessageRedacted

Redactions = Mapping[Place, int]
"""What is taken back, and the version that did it, the newest of several. Index None means all of a version."""


class Edit(NamedTuple):
    """The version of the message that an event edits, and the version that the event made."""

    message: int
    version: int


CHANGING: Final = (MessageRedacted, MessageEdited, BatchAppended)
"""Payloads that may redact or edit."""
_NO_PARTS: Final = [{"type": "text", "text": ""}]
"""The law wants one part at least."""


def redactions(payload: Payload, version: int) -> Redactions:
    """What the payload of an accepted event takes back."""
    return {(one.version, one.index): version for one in _inner(payload) if isinstance(one, MessageRedacted)}


def edits(payload: Payload, version: int) -> list[Edit]:
    """The edits in the payload of an accepted event, one for each message."""
    messages = {one.version for one in _inner(payload) if isinstance(one, MessageEdited)}
    return [Edit(message, version) for message in sorted(messages)]


def redacts(entry: TimelineEntry) -> bool:
    """Whether an entry takes something back from earlier ones."""
    return any(part["type"] == "everlog.message.redacted.v1" for _, part in _parts(msgspec.json.decode(entry.value)))


def blanked(entry: TimelineEntry, taken_back: Redactions) -> TimelineEntry:
    """An entry without the content that was taken back of it; the same one if there is none."""
    event = msgspec.json.decode(entry.value)
    changed = [
        _blank(part)
        for index, part in _parts(event)
        if _is_taken_back((entry.version, index), part, entry.version, taken_back)
    ]
    return msgspec.structs.replace(entry, value=msgspec.json.encode(event)) if any(changed) else entry


def is_copy(found: TimelineEntry, entry: TimelineEntry) -> bool:
    """Whether what was found is an entry, or what some redaction may have left of it."""
    if found == entry:
        return True
    if msgspec.structs.replace(found, value=entry.value) != entry:
        return False
    event = msgspec.json.decode(entry.value)
    try:
        copy = msgspec.json.decode(found.value)
        for (_, part), (_, copied) in zip(_parts(event), _parts(copy), strict=True):
            if part != copied:
                _blank(part)
    except (msgspec.DecodeError, ValueError, KeyError, TypeError):
        return False
    return bool(copy == event)


def _inner(payload: Payload) -> Sequence[Payload]:
    return payload.events if isinstance(payload, BatchAppended) else (payload,)


def _parts(event: Mapping[str, Any]) -> list[tuple[int | None, Mapping[str, Any]]]:
    """The events in an event, each with its index where it is a batch."""
    return list(enumerate(event["data"]["events"])) if event["type"] == BATCH else [(None, event)]


def _is_taken_back(place: Place, event: Mapping[str, Any], version: int, taken_back: Redactions) -> bool:
    """Whether a later version takes back what stands at a place, or the message that is edited there."""
    places = [place]
    if event["type"] == "everlog.message.edited.v1":
        places.append((event["data"]["version"], event["data"].get("index")))
    return any(taken_back.get(one, 0) > version for at in places for one in (at, (at[0], None)))


def _blank(event: Mapping[str, Any]) -> bool:
    """Take out what ``Message.redact`` takes back; whether there was anything."""
    data = event["data"]
    before = msgspec.json.encode(data)
    match event["type"]:
        case (
            "everlog.message.appended.v1"
            | "everlog.message.edited.v1"
            | "everlog.tool_call.completed.v1"
            | "everlog.history.compacted.v1"
        ):
            data["parts"] = _NO_PARTS
        case "everlog.tool_call.requested.v1":
            data.pop("arguments", None)
        case "everlog.tool_call.failed.v1":
            data["error"]["message"] = ""
        case "everlog.session.created.v1" if data.get("summary") is not None:
            data["summary"]["parts"] = _NO_PARTS
    return msgspec.json.encode(data) != before
