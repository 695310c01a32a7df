"""What each type of event carries in ``data``: one frozen class a type.

A field marked ``Content`` holds what people wrote; everything else is read by the rules and stays clear.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from everlog.schemas import limits
from everlog.schemas.identifiers import TYPE_PATTERN, Identifier


class Content:
    """Marks a field that holds content of people: it may be encrypted, and is erased with its session."""


class Payload(BaseModel):
    """Base of all payloads: frozen, strict, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type_name: ClassVar[str]
    rules: ClassVar[int] = 1
    in_batch: ClassVar[bool] = False
    """Whether a batch may hold it."""


ParticipantKind = Literal["human", "agent", "service"]
ParticipantRole = Literal["owner", "editor", "viewer", "analyst"]
MessageRole = Literal["user", "assistant", "system", "developer", "tool"]

Title = Annotated[str, Field(max_length=limits.TITLE_CHARACTERS), Content]
LabelValue = Annotated[str, Field(max_length=limits.LABEL_VALUE_CHARACTERS), Content]
Labels = Annotated[dict[Identifier, LabelValue], Field(max_length=limits.LABELS)]
StateKey = Annotated[str, Field(min_length=1, max_length=limits.STATE_KEY_CHARACTERS)]
StateValues = Annotated[dict[StateKey, Annotated[JsonValue, Content]], Field(max_length=limits.STATE_KEYS)]
Text = Annotated[str, Field(max_length=limits.TEXT_CHARACTERS)]
Version = Annotated[int, Field(ge=0, le=limits.SAFE_INTEGER)]


class Member(BaseModel):
    """A participant: who it is here and to the outside, and what it may do."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    participant: Identifier = Field(description="Id within the session", examples=["planner"])
    principal: Identifier = Field(description="Who it is to the outside", examples=["mad-7"])
    kind: ParticipantKind = Field(description="An agent needs a lease to write")
    role: ParticipantRole = Field(default="editor", description="What it may do")


class SessionCreated(Payload):
    """A session begins; version 1, status active."""

    type_name = "everlog.session.created.v1"

    owner: Identifier = Field(description="Principal that owns the session", examples=["ada"])
    owner_kind: ParticipantKind = Field(default="human", description="Kind of the owner")
    title: Title | None = Field(default=None, description="One line for people", examples=["Trip to Rome"])
    labels: Labels = Field(default_factory=dict, description="For search", examples=[{"team": "support"}])
    state: StateValues = Field(default_factory=dict, description="First state document")
    participants: list[Member] = Field(default_factory=list, max_length=limits.PRESENT_PARTICIPANTS - 1)


class SessionSuspended(Payload):
    """The session sleeps; only resuming or closing is accepted until then."""

    type_name = "everlog.session.suspended.v1"

    reason: Text | None = Field(default=None, description="Why, for people")


class SessionResumed(Payload):
    """A suspended session goes on."""

    type_name = "everlog.session.resumed.v1"

    reason: Text | None = Field(default=None, description="Why, for people")


class SessionClosed(Payload):
    """The session ends; nothing more is accepted."""

    type_name = "everlog.session.closed.v1"

    outcome: Text | None = Field(default=None, description="How it ended, for people", examples=["booked"])


class ParticipantJoined(Member, Payload):
    """A participant joins the session."""

    type_name = "everlog.participant.joined.v1"


class ParticipantLeft(Payload):
    """A participant leaves."""

    type_name = "everlog.participant.left.v1"

    participant: Identifier = Field(description="Id within the session", examples=["planner"])
    reason: Text | None = Field(default=None, description="Why, for people")


class Part(BaseModel):
    """One part of a message: text, reasoning, a file by its address, or JSON data."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: Literal["text", "file", "data", "reasoning"] = Field(description="Which of the fields below it has")
    text: str | None = Field(default=None, description="Of text and reasoning")
    uri: str | None = Field(default=None, description="Of a file: where it is")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="Of a file's bytes")
    size_bytes: int | None = Field(default=None, ge=0, le=limits.SAFE_INTEGER, description="Of a file")
    media_type: str | None = Field(default=None, max_length=128, description="Of a file or data")
    data: JsonValue | None = Field(default=None, description="Of data: any JSON but null")


class ReplyTo(BaseModel):
    """The message that a message answers, by its version, in a batch also by its index."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: int = Field(ge=1, le=limits.SAFE_INTEGER)
    index: int | None = Field(default=None, ge=0, lt=limits.BATCH_EVENTS)


class MessageAppended(Payload):
    """Somebody said something."""

    type_name = "everlog.message.appended.v1"
    in_batch = True

    role: MessageRole = Field(description="Who speaks, in the terms of models")
    parts: Annotated[list[Part], Field(min_length=1, max_length=limits.PARTS), Content] = Field(
        description="What was said", examples=[[{"type": "text", "text": "Hello"}]]
    )
    author: Identifier | None = Field(default=None, description="Who said it, where it is not the actor")
    run: Identifier | None = Field(default=None, description="Run that produced it")
    reply_to: ReplyTo | None = Field(default=None, description="Message that it answers")


class StatePatched(Payload):
    """Keys of the state document change: ``set`` replaces, ``unset`` removes."""

    type_name = "everlog.state.patched.v1"
    in_batch = True

    set: StateValues = Field(default_factory=dict, description="New values by key", examples=[{"city": "Rome"}])
    unset: list[StateKey] = Field(default_factory=list, max_length=limits.STATE_KEYS, description="Keys to remove")
    expected_keys: dict[StateKey, Version] = Field(
        default_factory=dict,
        max_length=limits.STATE_KEYS,
        description="Versions these keys must have; 0 = absent",
        examples=[{"city": 3}],
    )


class InnerEvent(BaseModel):
    """An event of a batch: its full type and its payload."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: Annotated[str, Field(pattern=TYPE_PATTERN, max_length=limits.ID_CHARACTERS)]
    data: dict[str, JsonValue]


class BatchAppended(Payload):
    """Several events at once: all or nothing, one version."""

    type_name = "everlog.batch.appended.v1"

    events: list[InnerEvent] = Field(min_length=1, max_length=limits.BATCH_EVENTS, description="In order")


PAYLOADS: dict[str, type[Payload]] = {
    payload.type_name: payload
    for payload in (
        SessionCreated,
        SessionSuspended,
        SessionResumed,
        SessionClosed,
        ParticipantJoined,
        ParticipantLeft,
        MessageAppended,
        StatePatched,
        BatchAppended,
    )
}
"""Every type that Everlog itself gives a meaning to, by its full name."""
