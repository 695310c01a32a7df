"""Participants join, leave and change their roles."""

from __future__ import annotations

from pydantic import BaseModel, Field, field_validator

from everlog.schemas.content import MODEL
from everlog.schemas.identifiers import Identifier, check_member
from everlog.schemas.payloads.base import ParticipantKind, ParticipantRole, Payload, Text


class Member(BaseModel):
    """A participant: who it is here and to the outside, and what it may do."""

    model_config = MODEL

    participant: Identifier = Field(description="Id within the session", examples=["planner"])
    principal: Identifier = Field(description="Who it is to the outside", examples=["mad-7"])
    kind: ParticipantKind = Field(description="An agent needs a lease to write", examples=["agent"])
    role: ParticipantRole = Field(default="editor", description="What it may do", examples=["editor"])

    @field_validator("participant")
    @classmethod
    def _is_not_the_system(cls, name: str) -> str:
        return check_member(name)


class ParticipantJoined(Member, Payload):
    """A participant joins the session."""

    type_name = "everlog.participant.joined.v1"


class ParticipantLeft(Payload):
    """A participant leaves: its lease is free, what it left open is abandoned."""

    type_name = "everlog.participant.left.v1"

    participant: Identifier = Field(description="Id within the session", examples=["planner"])
    reason: Text | None = Field(default=None, description="Why, for people", examples=["its work is done"])


class ParticipantRoleChanged(Payload):
    """A participant gets another role."""

    type_name = "everlog.participant.role_changed.v1"

    participant: Identifier = Field(description="Id within the session", examples=["planner"])
    role: ParticipantRole = Field(description="New role", examples=["viewer"])
