"""Runs: an agent's pieces of work."""

from __future__ import annotations

import msgspec

from everlog.domain.event import Payload, already_open, too_much, unknown
from everlog.domain.standing import Standing
from everlog.domain.types.content_fields import Problem
from everlog.domain.types.fields import Count, Identifier, Name, Text
from everlog.domain.verdicts import Rejected
from everlog.domain.view import View
from everlog.schemas.limits import OPEN_REFERENCES, SAFE_INTEGER


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a run used."""

    input_tokens: Count = 0
    output_tokens: Count = 0
    cost_micros: Count = 0


class RunStarted(Payload, frozen=True):
    """A run begins."""

    run: Identifier
    agent: Name
    parent_run: Identifier | None = None

    def refusal(self, standing: Standing) -> Rejected | None:
        """Its parent is not open, it is open already, or too many are."""
        if self.parent_run is not None and self.parent_run not in standing.runs:
            return unknown(standing, self.parent_run)
        if self.run in standing.runs:
            return already_open(standing, self.run)
        if len(standing.runs) >= OPEN_REFERENCES:
            return too_much(standing, "open_runs")
        return None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Open, by the actor."""
        standing.runs[self.run] = actor


class _RunEnded(Payload, frozen=True):
    """A run ends, one way or another."""

    run: Identifier

    def refusal(self, standing: Standing) -> Rejected | None:
        """It is not open."""
        return None if self.run in standing.runs else unknown(standing, self.run)

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """No longer open."""
        del standing.runs[self.run]


class RunCompleted(_RunEnded, frozen=True):
    """A run ends well."""

    usage: Usage | None = None

    def show(self, view: View, version: int) -> None:
        """Totals, which stop at the largest safe integer."""
        if self.usage is not None:
            total, used = view.usage, self.usage
            total.input_tokens = min(SAFE_INTEGER, total.input_tokens + used.input_tokens)
            total.output_tokens = min(SAFE_INTEGER, total.output_tokens + used.output_tokens)
            total.cost_micros = min(SAFE_INTEGER, total.cost_micros + used.cost_micros)


class RunFailed(_RunEnded, frozen=True, kw_only=True):
    """A run ends with an error."""

    error: Problem


class RunCanceled(_RunEnded, frozen=True):
    """A run is stopped."""

    reason: Text | None = None
