"""The frozen table of (rules, type): what each name means under each rules number. Adding a type is one line here.

Under one rules number nothing of it ever changes; new rules are a new book beside the old ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, assert_never

from everlog.domain.decide import decide
from everlog.domain.event import Event, Payload
from everlog.domain.standing import Standing
from everlog.domain.types import (
    artifact,
    batch,
    history,
    interrupt,
    lease,
    message,
    participant,
    run,
    session,
    state,
    tool_call,
)
from everlog.domain.verdicts import Verdict
from everlog.schemas.catalogue import PAYLOADS, TYPE_NAMES, TypeName

BATCH: Final = "everlog.batch.appended.v1"
"""Decoded by a step of its own, because its events are payloads of the other types."""
BATCHABLE: Final = frozenset(name for name, payload in PAYLOADS.items() if payload.in_batch)
"""Everlog's types that a batch may hold, beside applications' own."""

Upcast = Callable[[Payload], Payload]


class RuleBook(NamedTuple):
    """What the types mean under one rules number.

    ``upcasts`` are pure steps from a payload of the book before to the one that takes its place here, by its class.
    """

    types: Mapping[str, type[Payload]]
    batchable: frozenset[str]
    decide: Callable[[Standing | None, Event], Verdict]
    upcasts: Mapping[type[Payload], Upcast] = {}


def payload_type(name: TypeName) -> type[Payload]:
    """What a type means under rules 1."""
    match name:
        case "everlog.session.created.v1":
            return session.SessionCreated
        case "everlog.session.metadata_updated.v1":
            return session.SessionMetadataUpdated
        case "everlog.session.suspended.v1":
            return session.SessionSuspended
        case "everlog.session.resumed.v1":
            return session.SessionResumed
        case "everlog.session.closed.v1":
            return session.SessionClosed
        case "everlog.session.reopened.v1":
            return session.SessionReopened
        case "everlog.session.erased.v1":
            return session.SessionErased
        case "everlog.session.rewound.v1":
            return session.SessionRewound
        case "everlog.participant.joined.v1":
            return participant.ParticipantJoined
        case "everlog.participant.left.v1":
            return participant.ParticipantLeft
        case "everlog.participant.role_changed.v1":
            return participant.ParticipantRoleChanged
        case "everlog.lease.acquired.v1":
            return lease.LeaseAcquired
        case "everlog.lease.released.v1":
            return lease.LeaseReleased
        case "everlog.lease.revoked.v1":
            return lease.LeaseRevoked
        case "everlog.run.started.v1":
            return run.RunStarted
        case "everlog.run.completed.v1":
            return run.RunCompleted
        case "everlog.run.failed.v1":
            return run.RunFailed
        case "everlog.run.canceled.v1":
            return run.RunCanceled
        case "everlog.message.appended.v1":
            return message.MessageAppended
        case "everlog.message.edited.v1":
            return message.MessageEdited
        case "everlog.message.redacted.v1":
            return message.MessageRedacted
        case "everlog.tool_call.requested.v1":
            return tool_call.ToolCallRequested
        case "everlog.tool_call.completed.v1":
            return tool_call.ToolCallCompleted
        case "everlog.tool_call.failed.v1":
            return tool_call.ToolCallFailed
        case "everlog.interrupt.raised.v1":
            return interrupt.InterruptRaised
        case "everlog.interrupt.resolved.v1":
            return interrupt.InterruptResolved
        case "everlog.state.patched.v1":
            return state.StatePatched
        case "everlog.artifact.added.v1":
            return artifact.ArtifactAdded
        case "everlog.history.compacted.v1":
            return history.HistoryCompacted
        case "everlog.batch.appended.v1":
            return batch.BatchAppended
        case _:
            assert_never(name)


RULES_1: Final = RuleBook({name: payload_type(name) for name in TYPE_NAMES}, BATCHABLE, decide)
RULES: Final[Mapping[int, RuleBook]] = {1: RULES_1}
"""Every book that this code knows, by its number."""
NEWEST_RULES: Final = max(RULES)
"""The highest rules number that this code knows."""
