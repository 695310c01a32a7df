"""Reading states and timelines."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from everlog.client.answers import State
from everlog.client.link import Link
from everlog.schemas.http import (
    MESSAGES_MAX,
    PAGE_DEFAULT,
    TIER_HEADER,
    MessageAnswer,
    MessagesPage,
    TimelineEvent,
    TimelinePage,
)


async def read_state(
    link: Link, session: str, *, min_version: int | None = None, at_version: int | None = None
) -> State:
    """The state of a session; see ``Session.state``."""
    query = {"min_version": min_version, "at_version": at_version}
    answer = await link.request("GET", f"/v1/sessions/{session}", query=query)
    return State.model_validate({**answer.json(), "tier": answer.headers[TIER_HEADER]})


async def read_timeline(link: Link, session: str, after: int, limit: int | None) -> AsyncGenerator[TimelineEvent]:
    """The accepted events behind a version, oldest first, page by page."""
    left, position = limit, str(after)
    while left is None or left > 0:
        query = {"after": position, "limit": min(PAGE_DEFAULT, left) if left is not None else PAGE_DEFAULT}
        answer = await link.request("GET", f"/v1/sessions/{session}/events", query=query)
        page = TimelinePage.model_validate_json(answer.content)
        for event in page.events:
            yield event
        if page.next is None:
            return
        left, position = left - len(page.events) if left is not None else None, page.next


async def read_messages(
    link: Link, session: str, last: int | None, view: str, before: str | None = None
) -> list[MessageAnswer]:
    """The newest messages, oldest first: at least ``last`` where there are so many (None: all)."""
    found: list[MessageAnswer] = []
    while True:
        wanted = MESSAGES_MAX if last is None else min(MESSAGES_MAX, last - len(found))
        query = {"last": wanted, "before": before, "view": view}
        answer = await link.request("GET", f"/v1/sessions/{session}/messages", query=query)
        page = MessagesPage.model_validate_json(answer.content)
        found = page.messages + found
        before = page.next
        if before is None or (last is not None and len(found) >= last):
            return found
