"""Events and records for tests, with everything that does not matter filled in."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from everlog.domain.encoding import encode
from everlog.domain.event import Event as DecodedEvent
from everlog.domain.law import LAW
from everlog.domain.record import Record, partition_of
from everlog.schemas.events import Event
from everlog.schemas.identifiers import full_type

TENANT, SESSION = "acme", "rome-42"
KEY = f"{TENANT}/{SESSION}"
PARTITIONS = 4
PARTITION = partition_of(KEY.encode(), PARTITIONS)

_numbers = itertools.count(1)


def value(type_name: str, data: dict[str, Any], **attributes: Any) -> bytes:
    """The record value of an event; ``type_name`` may be short."""
    event = Event(
        **{
            "id": f"event-{next(_numbers)}",
            "source": "/mads/test",
            "type": full_type(type_name),
            "subject": SESSION,
            "tenantid": TENANT,
            "time": "2026-01-02T03:04:05.678Z",
            "actor": "ada",
            "data": data,
            **attributes,
        }
    )
    return encode(event)


def event(type_name: str, data: dict[str, Any], **attributes: Any) -> DecodedEvent:
    """The decoded event."""
    decoded = LAW.decode(value(type_name, data, **attributes))
    assert isinstance(decoded, DecodedEvent), decoded
    return decoded


def created(**data: Any) -> bytes:
    """A creation by ada."""
    return value("session.created", {"owner": "ada", **data})


def said(text: str, **attributes: Any) -> bytes:
    """A message of ada."""
    return value("message.appended", {"role": "user", "parts": [{"type": "text", "text": text}]}, **attributes)


def records(values: Iterable[bytes], *, first: int = 0, key: str = KEY) -> list[Record]:
    """Records of one session, dense from ``first`` on."""
    return [Record(PARTITION, first + at, 1_000 + at, key.encode(), raw) for at, raw in enumerate(values)]
