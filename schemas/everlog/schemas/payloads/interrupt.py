"""Interrupts: a human is asked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from everlog.schemas.identifiers import Identifier
from everlog.schemas.json_values import JsonObject
from everlog.schemas.payloads.base import ContentJson, ContentText, Name, Payload
from everlog.schemas.times import TIME_PATTERN

InterruptStatus = Literal["resolved", "cancelled"]


class InterruptRaised(Payload):
    """A human must decide before something goes on."""

    type_name = "everlog.interrupt.raised.v1"
    in_batch = True

    interrupt: Identifier = Field(description="Id within the session", examples=["ask-1"])
    reason: Name = Field(description="Kind of question", examples=["approval"])
    message: ContentText = Field(description="The question", examples=["Book it?"])
    response_schema: JsonObject | None = Field(
        default=None, description="JSON Schema of the answer", examples=[{"type": "boolean"}]
    )
    tool_call: Identifier | None = Field(
        default=None, description="Open tool call that waits for it", examples=["call-1"]
    )
    expires_at: str | None = Field(
        default=None,
        pattern=TIME_PATTERN,
        description="When nobody needs it any more",
        examples=["2026-01-02T04:00:00Z"],
    )


class InterruptResolved(Payload):
    """The human has answered, or nobody needs an answer."""

    type_name = "everlog.interrupt.resolved.v1"
    in_batch = True

    interrupt: Identifier = Field(description="An open interrupt", examples=["ask-1"])
    status: InterruptStatus = Field(description="Answered, or no longer needed", examples=["resolved"])
    payload: ContentJson = Field(default=None, description="The answer: any JSON", examples=[{"approved": True}])
