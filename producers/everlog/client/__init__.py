"""The SDK: the only import that a MAD needs.

async with Everlog.connect("http://127.0.0.1:8080", token=token) as log:
    chat = await log.create("rome-42", title="Trip to Rome", if_exists="open")
    done = await chat.append(Message(role="user", parts=[text("Hello")]))
    state = await chat.state(min_version=done.version)
"""

from everlog.client.answers import Appended, State
from everlog.client.connection import Everlog
from everlog.client.messages import Message, StatePatch, text
from everlog.client.session import Participant, Session
from everlog.schemas.errors import (
    AlreadyExistsError,
    ClosedError,
    DormantError,
    EverlogError,
    FencedError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    InvalidEventError,
    KeyConflictError,
    LimitExceededError,
    NotFoundError,
    ParkedError,
    RejectedError,
    RetryExpiredError,
    UnauthenticatedError,
    UnavailableError,
    UnknownReferenceError,
    VersionConflictError,
)
from everlog.schemas.http import TimelineEvent

__all__ = [
    "AlreadyExistsError",
    "Appended",
    "ClosedError",
    "DormantError",
    "Everlog",
    "EverlogError",
    "FencedError",
    "ForbiddenError",
    "IdempotencyKeyReusedError",
    "InvalidEventError",
    "KeyConflictError",
    "LimitExceededError",
    "Message",
    "NotFoundError",
    "ParkedError",
    "Participant",
    "RejectedError",
    "RetryExpiredError",
    "Session",
    "State",
    "StatePatch",
    "TimelineEvent",
    "UnauthenticatedError",
    "UnavailableError",
    "UnknownReferenceError",
    "VersionConflictError",
    "text",
]
