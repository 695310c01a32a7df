"""Runs: an agent's pieces of work."""

from __future__ import annotations

from pydantic import BaseModel, Field

from everlog.schemas.content import MODEL
from everlog.schemas.identifiers import Identifier
from everlog.schemas.payloads.base import Count, Name, Payload, Problem, Text


class Usage(BaseModel):
    """What a run used, in the terms of the OpenTelemetry GenAI conventions."""

    model_config = MODEL

    input_tokens: Count = Field(default=0, description="Tokens read", examples=[1_200])
    output_tokens: Count = Field(default=0, description="Tokens written", examples=[350])
    cost_micros: Count = Field(default=0, description="Millionths of the currency unit", examples=[4_100])


class RunStarted(Payload):
    """A run begins."""

    type_name = "everlog.run.started.v1"
    in_batch = True

    run: Identifier = Field(description="Id within the session", examples=["run-1"])
    agent: Name = Field(description="What runs", examples=["planner"])
    parent_run: Identifier | None = Field(default=None, description="Open run that it belongs to", examples=["run-0"])


class RunCompleted(Payload):
    """A run ends well."""

    type_name = "everlog.run.completed.v1"
    in_batch = True

    run: Identifier = Field(description="An open run", examples=["run-1"])
    usage: Usage | None = Field(default=None, description="What it used")


class RunFailed(Payload):
    """A run ends with an error."""

    type_name = "everlog.run.failed.v1"
    in_batch = True

    run: Identifier = Field(description="An open run", examples=["run-1"])
    error: Problem = Field(description="Why")


class RunCanceled(Payload):
    """A run is stopped."""

    type_name = "everlog.run.canceled.v1"
    in_batch = True

    run: Identifier = Field(description="An open run", examples=["run-1"])
    reason: Text | None = Field(default=None, description="Why, for people", examples=["the user changed the plan"])
