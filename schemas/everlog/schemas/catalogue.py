"""The catalogue: every type that Everlog itself gives a meaning to. Adding one is a line in each of the two lists.

Under one rules number the set is frozen: a name of ours that is not in it is malformed, for ever.
"""

from __future__ import annotations

from typing import Final, Literal, assert_never, get_args

from everlog.schemas import payloads
from everlog.schemas.payloads import Payload

TypeName = Literal[
    "everlog.session.created.v1",
    "everlog.session.metadata_updated.v1",
    "everlog.session.suspended.v1",
    "everlog.session.resumed.v1",
    "everlog.session.closed.v1",
    "everlog.session.reopened.v1",
    "everlog.session.erased.v1",
    "everlog.session.rewound.v1",
    "everlog.participant.joined.v1",
    "everlog.participant.left.v1",
    "everlog.participant.role_changed.v1",
    "everlog.lease.acquired.v1",
    "everlog.lease.released.v1",
    "everlog.lease.revoked.v1",
    "everlog.run.started.v1",
    "everlog.run.completed.v1",
    "everlog.run.failed.v1",
    "everlog.run.canceled.v1",
    "everlog.message.appended.v1",
    "everlog.message.edited.v1",
    "everlog.message.redacted.v1",
    "everlog.tool_call.requested.v1",
    "everlog.tool_call.completed.v1",
    "everlog.tool_call.failed.v1",
    "everlog.interrupt.raised.v1",
    "everlog.interrupt.resolved.v1",
    "everlog.state.patched.v1",
    "everlog.artifact.added.v1",
    "everlog.history.compacted.v1",
    "everlog.batch.appended.v1",
]

TYPE_NAMES: Final[tuple[TypeName, ...]] = get_args(TypeName)
"""All names, in the order of the catalogue."""


def payload_model(name: TypeName) -> type[Payload]:
    """The public definition of a type's data."""
    match name:
        case "everlog.session.created.v1":
            return payloads.SessionCreated
        case "everlog.session.metadata_updated.v1":
            return payloads.SessionMetadataUpdated
        case "everlog.session.suspended.v1":
            return payloads.SessionSuspended
        case "everlog.session.resumed.v1":
            return payloads.SessionResumed
        case "everlog.session.closed.v1":
            return payloads.SessionClosed
        case "everlog.session.reopened.v1":
            return payloads.SessionReopened
        case "everlog.session.erased.v1":
            return payloads.SessionErased
        case "everlog.session.rewound.v1":
            return payloads.SessionRewound
        case "everlog.participant.joined.v1":
            return payloads.ParticipantJoined
        case "everlog.participant.left.v1":
            return payloads.ParticipantLeft
        case "everlog.participant.role_changed.v1":
            return payloads.ParticipantRoleChanged
        case "everlog.lease.acquired.v1":
            return payloads.LeaseAcquired
        case "everlog.lease.released.v1":
            return payloads.LeaseReleased
        case "everlog.lease.revoked.v1":
            return payloads.LeaseRevoked
        case "everlog.run.started.v1":
            return payloads.RunStarted
        case "everlog.run.completed.v1":
            return payloads.RunCompleted
        case "everlog.run.failed.v1":
            return payloads.RunFailed
        case "everlog.run.canceled.v1":
            return payloads.RunCanceled
        case "everlog.message.appended.v1":
            return payloads.MessageAppended
        case "everlog.message.edited.v1":
            return payloads.MessageEdited
        case "everlog.message.redacted.v1":
            return payloads.MessageRedacted
        case "everlog.tool_call.requested.v1":
            return payloads.ToolCallRequested
        case "everlog.tool_call.completed.v1":
            return payloads.ToolCallCompleted
        case "everlog.tool_call.failed.v1":
            return payloads.ToolCallFailed
        case "everlog.interrupt.raised.v1":
            return payloads.InterruptRaised
        case "everlog.interrupt.resolved.v1":
            return payloads.InterruptResolved
        case "everlog.state.patched.v1":
            return payloads.StatePatched
        case "everlog.artifact.added.v1":
            return payloads.ArtifactAdded
        case "everlog.history.compacted.v1":
            return payloads.HistoryCompacted
        case "everlog.batch.appended.v1":
            return payloads.BatchAppended
        case _:
            assert_never(name)


PAYLOADS: Final[dict[str, type[Payload]]] = {name: payload_model(name) for name in TYPE_NAMES}
"""The same as a table."""
