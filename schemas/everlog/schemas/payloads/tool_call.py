"""Tool calls: requested, completed, failed."""

from __future__ import annotations

from pydantic import Field

from everlog.schemas.identifiers import Identifier
from everlog.schemas.payloads.base import ContentJson, Count, Name, Parts, Payload, Problem


class ToolCallRequested(Payload):
    """A tool is called."""

    type_name = "everlog.tool_call.requested.v1"
    in_batch = True

    tool_call: Identifier = Field(description="Id within the session", examples=["call-1"])
    name: Name = Field(description="The tool", examples=["search"])
    arguments: ContentJson = Field(default=None, description="Any JSON", examples=[{"q": "hotels"}])
    run: Identifier | None = Field(default=None, description="Open run that it belongs to", examples=["run-1"])


class ToolCallCompleted(Payload):
    """A tool has answered."""

    type_name = "everlog.tool_call.completed.v1"
    in_batch = True

    tool_call: Identifier = Field(description="An open tool call", examples=["call-1"])
    parts: Parts = Field(description="The answer", examples=[[{"type": "data", "data": {"hotels": 3}}]])
    duration_ms: Count | None = Field(default=None, description="How long it took", examples=[840])


class ToolCallFailed(Payload):
    """A tool has failed."""

    type_name = "everlog.tool_call.failed.v1"
    in_batch = True

    tool_call: Identifier = Field(description="An open tool call", examples=["call-1"])
    error: Problem = Field(description="Why")
