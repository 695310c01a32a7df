"""A session's life: created, updated, suspended, resumed, closed, reopened, rewound, erased."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from everlog.schemas import limits
from everlog.schemas.content import MODEL
from everlog.schemas.identifiers import Identifier, check_member
from everlog.schemas.payloads.base import (
    Labels,
    LabelValue,
    ParticipantKind,
    Payload,
    StateValues,
    Summary,
    Text,
    Title,
    Version,
)
from everlog.schemas.payloads.participant import Member


class ForkedFrom(BaseModel):
    """The session and version that a fork goes on from."""

    model_config = MODEL

    session: Identifier = Field(description="Parent session", examples=["rome-41"])
    version: Version = Field(description="Its version at the fork", examples=[41])


class SessionCreated(Payload):
    """A session begins: version 1, active. A fork brings title, labels, state and summary of its parent's version."""

    type_name = "everlog.session.created.v1"

    owner: Identifier = Field(description="Principal that owns the session", examples=["ada"])
    owner_kind: ParticipantKind = Field(default="human", description="Kind of the owner", examples=["human"])
    title: Title | None = Field(default=None, description="One line for people", examples=["Trip to Rome"])
    labels: Labels = Field(default_factory=dict, description="For search", examples=[{"team": "support"}])
    state: StateValues = Field(default_factory=dict, description="First state document", examples=[{"city": "Rome"}])
    participants: list[Member] = Field(
        default_factory=list, max_length=limits.PRESENT_PARTICIPANTS - 1, description="Present from the beginning"
    )
    forked_from: ForkedFrom | None = Field(default=None, description="Where a fork goes on from")
    summary: Summary | None = Field(default=None, description="Of a fork: what its model sees of the parent")

    @model_validator(mode="after")
    def _names_are_sound(self) -> Self:
        check_member(self.owner)
        names = [self.owner, *(member.participant for member in self.participants)]
        if len(set(names)) != len(names):
            raise ValueError("a participant is named twice")
        return self


class SessionMetadataUpdated(Payload):
    """Title and labels change by JSON merge patch (RFC 7396): null removes."""

    type_name = "everlog.session.metadata_updated.v1"
    in_batch = True

    title: Title | None = Field(
        default=None, description="New title; null removes it, absent keeps it", examples=["Trip to Rome in May"]
    )
    labels: Annotated[dict[Identifier, LabelValue | None], Field(max_length=limits.LABELS)] = Field(
        default_factory=dict, description="New values by label; null removes one", examples=[{"team": "sales"}]
    )


class SessionSuspended(Payload):
    """The session sleeps until it is resumed or closed; every lease is freed."""

    type_name = "everlog.session.suspended.v1"

    reason: Text | None = Field(default=None, description="Why, for people", examples=["waits for the customer"])


class SessionResumed(Payload):
    """A suspended session goes on."""

    type_name = "everlog.session.resumed.v1"

    reason: Text | None = Field(default=None, description="Why, for people", examples=["the customer is back"])


class SessionClosed(Payload):
    """The session ends: leases are freed, what is open is abandoned. Only reopening or erasing follows."""

    type_name = "everlog.session.closed.v1"

    outcome: Text | None = Field(default=None, description="How it ended, for people", examples=["booked"])


class SessionReopened(Payload):
    """A closed session goes on."""

    type_name = "everlog.session.reopened.v1"

    reason: Text | None = Field(default=None, description="Why, for people", examples=["one more question"])


class SessionErased(Payload):
    """The session is erased for ever: identity and version stay, everything else goes."""

    type_name = "everlog.session.erased.v1"

    reason: Text = Field(description="Why, for auditors", examples=["request of the user"])
    requested_by: Identifier = Field(description="Principal that asked for it", examples=["ada"])


class SessionRewound(Payload):
    """Title, labels, state and summary become those of an earlier version, which the door puts in.

    Needs ``expectedversion``. Carried keys get this event's version, others become absent; roster, leases, what is
    open, usage and artifacts stay; a model's view hides what lies between.
    """

    type_name = "everlog.session.rewound.v1"
    needs_expected_version = True

    to_version: Version = Field(description="Version whose content comes back", examples=[7])
    title: Title | None = Field(default=None, description="Title of that version", examples=["Trip to Rome"])
    labels: Labels = Field(default_factory=dict, description="Labels of that version", examples=[{"team": "support"}])
    state: StateValues = Field(
        default_factory=dict, description="State document of that version", examples=[{"city": "Rome"}]
    )
    summary: Summary | None = Field(default=None, description="Summary of that version")
