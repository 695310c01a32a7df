"""Which decoded payload belongs to which type. Adding a type is one line here."""

from __future__ import annotations

from typing import Final

from everlog.domain.event import Payload
from everlog.domain.types.message import MessageAppended
from everlog.domain.types.participant import ParticipantJoined, ParticipantLeft
from everlog.domain.types.session import SessionClosed, SessionCreated, SessionResumed, SessionSuspended
from everlog.domain.types.state import StatePatched

CREATION: Final = "everlog.session.created.v1"
BATCH: Final = "everlog.batch.appended.v1"
"""Decoded by its own step, because its events are payloads of the other types."""

TYPES: Final[dict[str, type[Payload]]] = {
    CREATION: SessionCreated,
    "everlog.session.suspended.v1": SessionSuspended,
    "everlog.session.resumed.v1": SessionResumed,
    "everlog.session.closed.v1": SessionClosed,
    "everlog.participant.joined.v1": ParticipantJoined,
    "everlog.participant.left.v1": ParticipantLeft,
    "everlog.message.appended.v1": MessageAppended,
    "everlog.state.patched.v1": StatePatched,
}

BATCHABLE: Final = frozenset({"everlog.message.appended.v1", "everlog.state.patched.v1"})
"""Everlog's types that a batch may hold, beside applications' own."""
