"""The verdict: rules 1, in their order. Each check is one function of the standing and the event."""

from __future__ import annotations

from everlog.domain.event import Event
from everlog.domain.standing import Standing
from everlog.domain.types.session import SessionCreated
from everlog.domain.verdicts import Accepted, Duplicate, Reason, Rejected, Verdict
from everlog.schemas.limits import RING_ACCEPTED


def decide(standing: Standing | None, event: Event) -> Verdict:
    """What becomes of an event that comes next on a session's log."""
    if isinstance(event.payload, SessionCreated):
        return _decide_creation(standing, event, event.payload)
    if standing is None:
        return _retry_expired(0, event) or Rejected(Reason.NOT_FOUND)
    return (
        standing.ring.recall(event.id_hash, event.content_hash, standing.version)
        or _retry_expired(standing.version, event)
        or _not_awake(standing, event)
        or _forbidden(standing, event)
        or _fenced(standing, event)
        or _conflict(standing, event)
        or event.payload.refusal(standing)
        or Accepted(standing.version + 1)
    )


def _decide_creation(standing: Standing | None, event: Event, payload: SessionCreated) -> Verdict:
    if standing is None:
        return payload.too_large() or Accepted(1)
    known = standing.ring.recall(event.id_hash, event.content_hash, standing.version)
    if known is not None:
        return known
    if standing.creation == event.content_hash:
        return Duplicate(Accepted(1))
    return Rejected(Reason.EXISTS, standing.version)


def _retry_expired(version: int, event: Event) -> Rejected | None:
    """A retry whose first try may have left the ring: its outcome is in the timeline."""
    if event.retry and version - (event.seen_version or 0) > RING_ACCEPTED:
        return Rejected(Reason.RETRY_EXPIRED, version)
    return None


def _not_awake(standing: Standing, event: Event) -> Rejected | None:
    if standing.status in event.payload.accepted_when:
        return None
    reason = Reason.CLOSED if standing.status == "closed" else Reason.DORMANT
    return Rejected(reason, standing.version)


def _forbidden(standing: Standing, event: Event) -> Rejected | None:
    if event.payload.permits(standing, event.actor):
        return None
    return Rejected(Reason.FORBIDDEN, standing.version)


def _fenced(standing: Standing, event: Event) -> Rejected | None:
    """The actor's lease: held under another epoch, named but not held, or missing for an agent."""
    if event.payload.needs_no_lease(event.actor):
        return None
    entry = standing.roster.get(event.actor)
    held = entry.lease_epoch if entry is not None else 0
    if (event.lease_epoch or 0) != held or event.lease_epoch == 0:
        return Rejected(Reason.FENCED, standing.version)
    if not held and entry is not None and entry.kind == "agent" and event.actor != standing.owner:
        return Rejected(Reason.FENCED, standing.version)
    return None


def _conflict(standing: Standing, event: Event) -> Rejected | None:
    if event.expected_version is not None and event.expected_version != standing.version:
        return Rejected(Reason.VERSION_CONFLICT, standing.version)
    keys = event.payload.conflict(standing)
    return Rejected(Reason.KEY_CONFLICT, standing.version, keys) if keys else None
