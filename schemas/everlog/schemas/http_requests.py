"""The bodies of requests, which refuse fields that they do not know. ``everlog.schemas.http`` has all bodies."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from everlog.schemas import limits
from everlog.schemas.identifiers import Identifier
from everlog.schemas.payloads import Member
from everlog.schemas.payloads.base import (
    KeyVersion,
    Labels,
    LabelValue,
    ParticipantKind,
    ParticipantRole,
    StateKey,
    StateValues,
    Text,
    Title,
)
from everlog.schemas.payloads.interrupt import InterruptStatus

DELTA_CHARACTERS: Final = 8192
"""Text of one delta: more than a model says at once; larger pieces belong into events."""

ShortType = Annotated[
    str,
    Field(min_length=3, max_length=limits.ID_CHARACTERS, examples=["message.appended"], description="Short or full"),
]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class InnerEventRequest(_Request):
    """An event of a batch."""

    type: ShortType
    data: dict[str, JsonValue]


class _AppendRequest(_Request):
    id: Identifier | None = Field(default=None, description="Makes a retry get the first answer")
    expected_version: KeyVersion | None = Field(default=None, description="Version that the session must have")
    correlation_id: Identifier | None = Field(default=None, description="Run or turn")
    causation_id: Identifier | None = Field(default=None, description="The event that directly caused this one")


class EventRequest(_AppendRequest):
    """One event to append."""

    type: ShortType
    data: dict[str, JsonValue] = Field(description="The payload of its type")


class BatchRequest(_AppendRequest):
    """Several events to append at once: all or nothing, one version."""

    events: list[InnerEventRequest] = Field(min_length=1, max_length=limits.BATCH_EVENTS)


class CreateRequest(_Request):
    """A session to create; its owner is the token's principal."""

    id: Identifier | None = Field(default=None, description="Chosen by the door where it is left out")
    title: Title | None = None
    labels: Labels = Field(default_factory=dict)
    state: StateValues = Field(default_factory=dict)
    participants: list[Member] = Field(default_factory=list, max_length=limits.PRESENT_PARTICIPANTS - 1)


class StateChange(_Request):
    """A change of the state document by key: ``unset`` removes, then ``set`` replaces."""

    set: StateValues = Field(default_factory=dict, description="New values by key")
    unset: list[StateKey] = Field(default_factory=list, max_length=limits.STATE_KEYS)
    expected_keys: dict[StateKey, KeyVersion] = Field(
        default_factory=dict, max_length=limits.STATE_KEYS, description="Versions these keys must have; 0 = absent"
    )


class ChangeRequest(_Request):
    """A change of a session, at least one of its parts; all of it or nothing."""

    title: Title | None = Field(default=None, description="null removes it, absent keeps it")
    labels: dict[Identifier, LabelValue | None] = Field(
        default_factory=dict, max_length=limits.LABELS, description="New values by label; null removes one"
    )
    state: StateChange | None = None


class JoinRequest(_Request):
    """Who joins a session: by default the token's principal, under its own name."""

    participant: Identifier | None = Field(default=None, description="Id within the session; by default the principal")
    principal: Identifier | None = Field(default=None, description="Who it is to the outside; by default the caller")
    kind: ParticipantKind = Field(description="An agent needs a lease to write")
    role: ParticipantRole = "editor"


class ReasonRequest(_Request):
    """Why, for people."""

    reason: Text | None = None


class CloseRequest(_Request):
    """How it ended, for people."""

    outcome: Text | None = None


class ResolveRequest(_Request):
    """The answer to an interrupt, or that nobody needs one."""

    status: InterruptStatus
    payload: JsonValue = Field(default=None, description="The answer: any JSON, or its encrypted form")


class LeaseRequest(_Request):
    """A lease to acquire.

    ``supersedes`` names the epoch whose holder was seen dead; without it the door looks itself.
    """

    ttl_s: int = Field(
        default=30, ge=1, le=limits.LEASE_TTL_S, description="Seconds without a heartbeat, then it lapses"
    )
    supersedes: KeyVersion | None = None


class DeltaRequest(_Request):
    """A piece of what a run is about to say: shown to those who follow now, and kept nowhere."""

    run: Identifier
    seq: int = Field(ge=0, le=limits.SAFE_INTEGER, description="Counts the deltas of the run")
    text: str = Field(min_length=1, max_length=DELTA_CHARACTERS)
