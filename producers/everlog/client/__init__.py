"""The SDK: the only import that a MAD needs.

async with Everlog.connect("http://127.0.0.1:8080", token=token) as log:
    chat = await log.create("rome-42", title="Trip to Rome", if_exists="open")
    async with chat.join("planner", kind="agent", lease_ttl_s=30) as me:
        done = await me.append(Message(role="assistant", parts=[text("Hello")]))
    state = await chat.state(min_version=done.version)

Without ``await``: ``with Everlog.connect_sync(...) as log``. For tests without servers: ``everlog.client.testing``.
"""

from everlog.client.answers import Appended, Spooled, State
from everlog.client.connection import Everlog
from everlog.client.credentials import TokenSource
from everlog.client.interrupts import Decision
from everlog.client.messages import Message, StatePatch, data, file, reasoning, text
from everlog.client.participant import Participant
from everlog.client.rebasing import Attempt, Updated
from everlog.client.runs import Run, ToolCall
from everlog.client.session import Session
from everlog.client.spool import Spool
from everlog.schemas.errors import (
    AlreadyExistsError,
    ArchiveDamagedError,
    ClosedError,
    DormantError,
    ErasedError,
    EverlogError,
    FencedError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    InvalidEventError,
    KeyConflictError,
    LeaseHeldError,
    LimitExceededError,
    NotFoundError,
    ParkedError,
    RateLimitedError,
    RejectedError,
    RetryExpiredError,
    UnauthenticatedError,
    UnavailableError,
    UnknownOutcomeError,
    UnknownReferenceError,
    VersionConflictError,
)
from everlog.schemas.http import DeltaFrame, InterruptAnswer, ListedSession, MessageAnswer, TimelineEvent
from everlog.schemas.payloads import (
    ArtifactAdded,
    HistoryCompacted,
    MessageEdited,
    MessageRedacted,
    Part,
    Payload,
    Problem,
    Usage,
)

__all__ = [
    "AlreadyExistsError",
    "Appended",
    "ArchiveDamagedError",
    "ArtifactAdded",
    "Attempt",
    "ClosedError",
    "Decision",
    "DeltaFrame",
    "DormantError",
    "ErasedError",
    "Everlog",
    "EverlogError",
    "FencedError",
    "ForbiddenError",
    "HistoryCompacted",
    "IdempotencyKeyReusedError",
    "InterruptAnswer",
    "InvalidEventError",
    "KeyConflictError",
    "LeaseHeldError",
    "LimitExceededError",
    "ListedSession",
    "Message",
    "MessageAnswer",
    "MessageEdited",
    "MessageRedacted",
    "NotFoundError",
    "ParkedError",
    "Part",
    "Participant",
    "Payload",
    "Problem",
    "RateLimitedError",
    "RejectedError",
    "RetryExpiredError",
    "Run",
    "Session",
    "Spool",
    "Spooled",
    "State",
    "StatePatch",
    "TimelineEvent",
    "TokenSource",
    "ToolCall",
    "UnauthenticatedError",
    "UnavailableError",
    "UnknownOutcomeError",
    "UnknownReferenceError",
    "Updated",
    "Usage",
    "VersionConflictError",
    "data",
    "file",
    "reasoning",
    "text",
]
