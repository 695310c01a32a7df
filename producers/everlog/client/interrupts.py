"""Asking a human: an interrupt, and waiting until it is resolved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from everlog.client.answers import PENDING, SPOOLED
from everlog.client.following import follow, inner_events
from everlog.client.link import Link, new_id
from everlog.schemas.errors import ClosedError, EverlogError, FencedError
from everlog.schemas.http import DeltaFrame, InterruptAnswer, InterruptsPage, TimelineEvent
from everlog.schemas.payloads import (
    InterruptRaised,
    InterruptResolved,
    LeaseRevoked,
    ParticipantLeft,
    SessionClosed,
    SessionErased,
)

if TYPE_CHECKING:
    from everlog.client.runs import Run
    from everlog.client.writer import Writer

TAKING_BACK_TIMEOUT_S: Final = 10.0
_ENDS_SESSION: Final = frozenset({SessionClosed.type_name, SessionErased.type_name})
_ABANDONS: Final = frozenset({LeaseRevoked.type_name, ParticipantLeft.type_name})


@dataclass(frozen=True, slots=True)
class Decision:
    """How an interrupt ended: ``payload`` is the answer; ``is_answered`` is False where nobody needed one any more."""

    interrupt: str
    is_answered: bool
    payload: Any
    resolved_by: str
    version: int


async def ask(
    run: Run,
    writer: Writer,
    link: Link,
    reason: str,
    message: str,
    response_schema: dict[str, Any] | None,
    tool_call: str | None,
    expires_at: str | None,
    timeout_s: float | None,
) -> Decision:
    """See ``Run.interrupt``."""
    raised = InterruptRaised(
        interrupt=new_id(),
        reason=reason,
        message=message,
        response_schema=response_schema,
        tool_call=tool_call,
        expires_at=expires_at,
    )
    done = await run.append(raised)
    if done.result in (PENDING, SPOOLED):
        done = await done.outcome()
    try:
        async with asyncio.timeout(timeout_s):
            return await _resolution(writer, link, raised.interrupt, done.version or 0)
    except (FencedError, ClosedError):
        raise
    except BaseException:
        with suppress(EverlogError, TimeoutError):
            async with asyncio.timeout(TAKING_BACK_TIMEOUT_S):
                await writer.resolve(raised.interrupt, status="cancelled")
        raise


async def _resolution(writer: Writer, link: Link, interrupt: str, after: int) -> Decision:
    async with aclosing(follow(link, writer.id, after, deltas=False)) as events:
        async for event in events:
            if isinstance(event, DeltaFrame):
                continue
            if event.type in _ENDS_SESSION:
                raise ClosedError(f"session {writer.id} ended before anybody answered")
            if event.type in _ABANDONS and event.data.get("participant") == writer.acts_as:
                raise FencedError(f"{writer.acts_as} lost its place in the session before anybody answered")
            for type_name, data in inner_events(event):
                if type_name == InterruptResolved.type_name and data["interrupt"] == interrupt:
                    return _decision(event, data)
    raise AssertionError("unreachable: following does not end")


def _decision(event: TimelineEvent, data: dict[str, Any]) -> Decision:
    return Decision(data["interrupt"], data["status"] == "resolved", data.get("payload"), event.actor, event.version)


async def pending_interrupts(link: Link, status: str) -> AsyncGenerator[InterruptAnswer]:
    """Interrupts of all sessions that the caller may see, page by page."""
    cursor: str | None = None
    while True:
        answer = await link.request("GET", "/v1/interrupts", query={"status": status, "cursor": cursor})
        page = InterruptsPage.model_validate_json(answer.content)
        for interrupt in page.interrupts:
            yield interrupt
        if page.next is None:
            return
        cursor = page.next
