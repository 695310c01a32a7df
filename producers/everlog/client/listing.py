"""Listing and searching sessions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from everlog.client.link import Link
from everlog.schemas.http import LISTED_MAX, ListedSession, SessionsPage


async def list_sessions(
    link: Link,
    *,
    labels: Mapping[str, str] | None,
    status: str | None,
    participant: str | None,
    query: str | None,
    limit: int | None,
) -> AsyncGenerator[ListedSession]:
    """Sessions page by page; see ``Everlog.list``."""
    asked = {
        "label": [f"{name}:{value}" for name, value in (labels or {}).items()] or None,
        "status": status,
        "participant": participant,
        "q": query,
    }
    cursor, left = None, limit
    while left is None or left > 0:
        page_limit = LISTED_MAX if left is None else min(LISTED_MAX, left)
        answer = await link.request("GET", "/v1/sessions", query={**asked, "cursor": cursor, "limit": page_limit})
        page = SessionsPage.model_validate_json(answer.content)
        for session in page.sessions:
            yield session
        if page.next is None:
            return
        cursor, left = page.next, left - len(page.sessions) if left is not None else None
