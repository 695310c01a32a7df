"""Several events as one."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from everlog.schemas import limits
from everlog.schemas.content import MODEL
from everlog.schemas.identifiers import TYPE_PATTERN
from everlog.schemas.json_values import JsonObject
from everlog.schemas.payloads.base import Payload


class InnerEvent(BaseModel):
    """An event of a batch: its full type and its payload."""

    model_config = MODEL

    type: Annotated[str, Field(pattern=TYPE_PATTERN, max_length=limits.ID_CHARACTERS)] = Field(
        description="Full name of its type", examples=["everlog.message.appended.v1"]
    )
    data: JsonObject = Field(
        description="Its payload", examples=[{"role": "user", "parts": [{"type": "text", "text": "Hello"}]}]
    )


class BatchAppended(Payload):
    """Several events at once: all or nothing, one version, one timeline entry."""

    type_name = "everlog.batch.appended.v1"

    events: list[InnerEvent] = Field(min_length=1, max_length=limits.BATCH_EVENTS, description="In order")
