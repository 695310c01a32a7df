"""What each type of event carries in ``data``: one frozen class a type, a module per entity.

A field marked ``Content`` holds what people wrote; everything else is read by the rules and stays clear.
"""

from everlog.schemas.payloads.artifact import ArtifactAdded
from everlog.schemas.payloads.base import Part, Payload, Problem, Summary
from everlog.schemas.payloads.batch import BatchAppended, InnerEvent
from everlog.schemas.payloads.history import HistoryCompacted
from everlog.schemas.payloads.interrupt import InterruptRaised, InterruptResolved
from everlog.schemas.payloads.lease import LeaseAcquired, LeaseReleased, LeaseRevoked
from everlog.schemas.payloads.message import MessageAppended, MessageEdited, MessageRedacted, MessageRef
from everlog.schemas.payloads.participant import Member, ParticipantJoined, ParticipantLeft, ParticipantRoleChanged
from everlog.schemas.payloads.run import RunCanceled, RunCompleted, RunFailed, RunStarted, Usage
from everlog.schemas.payloads.session import (
    ForkedFrom,
    SessionClosed,
    SessionCreated,
    SessionErased,
    SessionMetadataUpdated,
    SessionReopened,
    SessionResumed,
    SessionRewound,
    SessionSuspended,
)
from everlog.schemas.payloads.state import StatePatched
from everlog.schemas.payloads.tool_call import ToolCallCompleted, ToolCallFailed, ToolCallRequested

__all__ = [
    "ArtifactAdded",
    "BatchAppended",
    "ForkedFrom",
    "HistoryCompacted",
    "InnerEvent",
    "InterruptRaised",
    "InterruptResolved",
    "LeaseAcquired",
    "LeaseReleased",
    "LeaseRevoked",
    "Member",
    "MessageAppended",
    "MessageEdited",
    "MessageRedacted",
    "MessageRef",
    "Part",
    "ParticipantJoined",
    "ParticipantLeft",
    "ParticipantRoleChanged",
    "Payload",
    "Problem",
    "RunCanceled",
    "RunCompleted",
    "RunFailed",
    "RunStarted",
    "SessionClosed",
    "SessionCreated",
    "SessionErased",
    "SessionMetadataUpdated",
    "SessionReopened",
    "SessionResumed",
    "SessionRewound",
    "SessionSuspended",
    "StatePatched",
    "Summary",
    "ToolCallCompleted",
    "ToolCallFailed",
    "ToolCallRequested",
    "Usage",
]
