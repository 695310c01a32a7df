"""What a caller needs to resolve a conflict: the events that it did not know of."""

from __future__ import annotations

from typing import Any

from everlog.domain.registry import BATCH
from everlog.domain.verdicts import Reason, Rejected
from everlog.gateway.answers import event_body
from everlog.gateway.sessions import Proposal
from everlog.gateway.timeline import TimelineReader
from everlog.schemas.errors import NotFoundError, ParkedError, UnavailableError
from everlog.schemas.http import CONFLICT_BYTES, CONFLICT_EVENTS


async def events_between(
    timelines: TimelineReader, key: str, proposal: Proposal, rejected: Rejected
) -> list[dict[str, Any]]:
    """The first events between the version that a proposal expected and the actual one; empty where they cannot be
    read: the conflict itself must be told in any case."""
    known = _known_version(proposal, rejected)
    if known is None or known >= rejected.version:
        return []
    try:
        page = await timelines.page(
            key, after=known, limit=CONFLICT_EVENTS, newest_first=False, bytes_max=CONFLICT_BYTES
        )
    except (UnavailableError, NotFoundError, ParkedError):
        return []
    return [
        event_body(entry)
        for entry in page.entries
        if entry.version <= rejected.version and len(entry.value) <= CONFLICT_BYTES
    ]


def _known_version(proposal: Proposal, rejected: Rejected) -> int | None:
    if rejected.reason is Reason.VERSION_CONFLICT:
        return proposal.expected_version
    if rejected.reason is not Reason.KEY_CONFLICT:
        return None
    payloads = [inner["data"] for inner in proposal.data["events"]] if proposal.type == BATCH else [proposal.data]
    expected = [payload.get("expected_keys", {}) for payload in payloads]
    return min((keys[name] for keys in expected for name in rejected.detail if name in keys), default=None)
