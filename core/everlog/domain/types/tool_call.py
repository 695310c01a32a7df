"""Tool calls: requested, completed, failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from everlog.domain.event import FreeJson, Payload, already_open, too_much, unknown
from everlog.domain.standing import Standing
from everlog.domain.types.content_fields import Parts, Problem, free_json
from everlog.domain.types.fields import Count, Identifier, Name
from everlog.domain.verdicts import Rejected
from everlog.schemas.limits import OPEN_REFERENCES


class ToolCallRequested(Payload, frozen=True):
    """A tool is called."""

    tool_call: Identifier
    name: Name
    arguments: Any = None
    run: Identifier | None = None

    def free_json(self) -> Sequence[FreeJson]:
        """The arguments."""
        return ((1, self.arguments),)

    def refusal(self, standing: Standing) -> Rejected | None:
        """Its run is not open, it is open already, or too many are."""
        if self.run is not None and self.run not in standing.runs:
            return unknown(standing, self.run)
        if self.tool_call in standing.tool_calls:
            return already_open(standing, self.tool_call)
        if len(standing.tool_calls) >= OPEN_REFERENCES:
            return too_much(standing, "open_tool_calls")
        return None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Open, by the actor."""
        standing.tool_calls[self.tool_call] = actor


class _ToolCallEnded(Payload, frozen=True):
    """A tool call ends, one way or another."""

    tool_call: Identifier

    def refusal(self, standing: Standing) -> Rejected | None:
        """It is not open."""
        return None if self.tool_call in standing.tool_calls else unknown(standing, self.tool_call)

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """No longer open."""
        del standing.tool_calls[self.tool_call]


class ToolCallCompleted(_ToolCallEnded, frozen=True, kw_only=True):
    """A tool has answered."""

    parts: Parts
    duration_ms: Count | None = None

    def free_json(self) -> Sequence[FreeJson]:
        """Data parts."""
        return free_json(self.parts)


class ToolCallFailed(_ToolCallEnded, frozen=True, kw_only=True):
    """A tool has failed."""

    error: Problem
