"""Messages: appended, edited, redacted."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from everlog.schemas.content import MODEL
from everlog.schemas.identifiers import Identifier
from everlog.schemas.payloads.base import BatchIndex, Parts, Payload, Text, Version

MessageRole = Literal["user", "assistant", "system", "developer", "tool"]


class MessageRef(BaseModel):
    """A message by the version that appended it, in a batch also by its index."""

    model_config = MODEL

    version: Version = Field(description="Version that appended it", examples=[2])
    index: BatchIndex | None = Field(default=None, description="Its place in a batch", examples=[0])


class MessageAppended(Payload):
    """Somebody said something."""

    type_name = "everlog.message.appended.v1"
    in_batch = True

    role: MessageRole = Field(description="Who speaks, in the terms of models", examples=["assistant"])
    parts: Parts = Field(description="What was said", examples=[[{"type": "text", "text": "Hello"}]])
    author: Identifier | None = Field(
        default=None, description="Who said it, where it is not the actor", examples=["writer"]
    )
    run: Identifier | None = Field(default=None, description="Open run that produced it", examples=["run-1"])
    reply_to: MessageRef | None = Field(default=None, description="Message that it answers")


class MessageEdited(MessageRef, Payload):
    """A message gets other parts; readers merge it."""

    type_name = "everlog.message.edited.v1"
    in_batch = True

    parts: Parts = Field(description="Its parts from now on", examples=[[{"type": "text", "text": "Hello!"}]])


class MessageRedacted(MessageRef, Payload):
    """A message's parts are taken back; readers blank them, and so do the warm and hot copies."""

    type_name = "everlog.message.redacted.v1"
    in_batch = True

    reason: Text | None = Field(default=None, description="Why, for people", examples=["a phone number"])
