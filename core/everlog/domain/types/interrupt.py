"""Interrupts: a human is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from everlog.domain.event import FreeJson, Payload, already_open, too_much, unknown
from everlog.domain.standing import Standing
from everlog.domain.types.content_fields import ContentText
from everlog.domain.types.fields import Identifier, Name, Time
from everlog.domain.verdicts import Rejected
from everlog.schemas.limits import OPEN_REFERENCES


class InterruptRaised(Payload, frozen=True):
    """A human must decide before something goes on."""

    interrupt: Identifier
    reason: Name
    message: ContentText
    response_schema: dict[str, Any] | None = None
    tool_call: Identifier | None = None
    expires_at: Time | None = None

    def free_json(self) -> Sequence[FreeJson]:
        """The schema of the answer."""
        return ((1, self.response_schema),)

    def refusal(self, standing: Standing) -> Rejected | None:
        """Its tool call is not open, it is open already, or too many are."""
        if self.tool_call is not None and self.tool_call not in standing.tool_calls:
            return unknown(standing, self.tool_call)
        if self.interrupt in standing.interrupts:
            return already_open(standing, self.interrupt)
        if len(standing.interrupts) >= OPEN_REFERENCES:
            return too_much(standing, "open_interrupts")
        return None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Open, by the actor."""
        standing.interrupts[self.interrupt] = actor


class InterruptResolved(Payload, frozen=True):
    """The human has answered, or nobody needs an answer."""

    interrupt: Identifier
    status: Literal["resolved", "cancelled"]
    payload: Any = None

    def free_json(self) -> Sequence[FreeJson]:
        """The answer."""
        return ((1, self.payload),)

    def refusal(self, standing: Standing) -> Rejected | None:
        """It is not open."""
        return None if self.interrupt in standing.interrupts else unknown(standing, self.interrupt)

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """No longer open."""
        del standing.interrupts[self.interrupt]
