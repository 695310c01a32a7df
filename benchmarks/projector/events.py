"""The events of this benchmark: many sessions that begin, then take messages in turn; each value has 600 bytes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any, Final

from everlog.cli.composition import new_id
from everlog.domain.encoding import encode
from everlog.schemas.events import Event
from everlog.schemas.identifiers import session_key
from everlog.schemas.payloads import MessageAppended, SessionCreated

SEED: Final = 20_260_102
SESSIONS: Final = 2_000
"""Many enough that a batch holds a few events of each, and that all of them fit into a worker's cache."""
VALUE_BYTES: Final = 600
"""A message of two or three sentences in its envelope."""
TEXT_CHARACTERS: Final = 100_000
"""Text that the messages are cut from: longer than what Kafka compresses together, so that it finds few repeats."""
WORDS: Final = ("the", "hotel", "in", "Rome", "near", "station", "has", "two", "rooms", "from", "Friday", "on", "for")
TENANT: Final = "bench"
OWNER: Final = "ada"


def events() -> Iterator[tuple[str, bytes]]:
    """Keys and values without end. All are accepted, in this order within each session."""
    chance = Random(SEED)
    text = " ".join(chance.choices(WORDS, k=TEXT_CHARACTERS // 4))
    room = {kind: VALUE_BYTES - len(encode(_event(0, kind, ""))) for kind in (_creation, _message)}
    for number in count():
        kind = _creation if number < SESSIONS else _message
        at = chance.randrange(len(text) - VALUE_BYTES)
        yield session_key(TENANT, _session(number)), encode(_event(number, kind, text[at : at + room[kind]]))


def _session(number: int) -> str:
    return f"session-{number % SESSIONS:04d}"


def _event(number: int, kind: Any, text: str) -> Event:
    type_name, data = kind(text)
    return Event.model_construct(
        id=new_id(),
        source="/mads/planner",
        type=type_name,
        subject=_session(number),
        tenantid=TENANT,
        time="2026-01-02T03:04:05.678Z",
        actor=OWNER,
        data=data,
    )


def _creation(text: str) -> tuple[str, dict[str, Any]]:
    return SessionCreated.type_name, {"owner": OWNER, "title": "A trip", "state": {"brief": text}}


def _message(text: str) -> tuple[str, dict[str, Any]]:
    return MessageAppended.type_name, {"role": "user", "parts": [{"type": "text", "text": text}]}
