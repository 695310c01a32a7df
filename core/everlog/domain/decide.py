"""The verdict: rules 1, in their order. Each check is one function of the standing and the event.

erased          the session is erased, whatever the event
duplicate       the id was judged before; with other content: id_reused
retry_expired   a retry that may have left the ring
not_found       no session, and not a creation
exists          a creation, and the session exists; the same creation: duplicate
closed/dormant  the status does not take the event
forbidden       the actor's place in the session does not allow it
fenced          the actor's lease is held under another epoch, named but not held, or missing for an agent
held            the lease it wants is held
version_conflict, key_conflict
unknown_reference, already_open, limit_exceeded
"""

from __future__ import annotations

from everlog.domain.event import Event
from everlog.domain.standing import Standing
from everlog.domain.types.session import SessionCreated, creation_too_large
from everlog.domain.verdicts import Accepted, Duplicate, Reason, Rejected, Verdict
from everlog.schemas.limits import RING_ACCEPTED


def decide(standing: Standing | None, event: Event) -> Verdict:
    """What becomes of an event that comes next on a session's log."""
    payload = event.payload
    if standing is None:
        if isinstance(payload, SessionCreated):
            return _begun(payload, event)
        return Rejected(Reason.NOT_FOUND)
    if standing.status == "erased":
        return Rejected(Reason.ERASED, standing.version)
    known = standing.ring.recall(event.id_hash, event.content_hash, standing.version)
    if known is not None:
        return known
    if isinstance(payload, SessionCreated):
        return _exists(standing, event)
    return _judge(standing, event) or payload.refusal(standing) or Accepted(standing.version + 1)


def _begun(payload: SessionCreated, event: Event) -> Verdict:
    """No session yet: it has version 0, and nobody holds a lease in it. Whether one may create, the door decides."""
    if event.lease_epoch is not None:
        return Rejected(Reason.FENCED)
    if event.expected_version not in (None, 0):
        return Rejected(Reason.VERSION_CONFLICT)
    return creation_too_large(payload) or Accepted(1)


def _exists(standing: Standing, event: Event) -> Verdict:
    if standing.creation == event.content_hash:
        return Duplicate(Accepted(1))
    return Rejected(Reason.EXISTS, standing.version)


def _judge(standing: Standing, event: Event) -> Rejected | None:
    """All that concerns the session and the actor, before what the event itself refers to."""
    payload, version = event.payload, standing.version
    if event.retry and version - (event.seen_version or 0) > RING_ACCEPTED:
        return Rejected(Reason.RETRY_EXPIRED, version)
    if standing.status not in payload.accepted_when:
        return Rejected(Reason.CLOSED if standing.status == "closed" else Reason.DORMANT, version)
    if not payload.permits(standing, event.actor):
        return Rejected(Reason.FORBIDDEN, version)
    reason = payload.lease_reason(standing)
    if reason is Reason.FENCED or _is_fenced(standing, event):
        return Rejected(Reason.FENCED, version)
    if reason is Reason.HELD:
        return Rejected(Reason.HELD, version)
    if event.expected_version is not None and event.expected_version != version:
        return Rejected(Reason.VERSION_CONFLICT, version)
    keys = payload.conflict(standing)
    return Rejected(Reason.KEY_CONFLICT, version, keys) if keys else None


def _is_fenced(standing: Standing, event: Event) -> bool:
    """The actor's lease: held under another epoch, named but not held, or missing for an agent."""
    entry = standing.roster.get(event.actor)
    held = entry.lease_epoch if entry is not None else 0
    if held or event.lease_epoch is not None:
        fenced = not held or event.lease_epoch != held
    else:
        fenced = entry is not None and entry.kind == "agent" and event.actor != standing.owner
    return fenced and not event.payload.needs_no_lease(event.actor)
