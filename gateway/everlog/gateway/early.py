"""Verdicts that are known before the append: only those that can never become false.

The standing that a door looks at is some moment of the past; the event would be judged later. A verdict may be given
early only if no later standing of the same session could make the event accepted:

erased              final
duplicate           the first outcome is history; likewise id_reused
exists              a session never ceases to exist
retry_expired       the distance from the version seen only grows
version_conflict    the session is above the expected version, and versions only grow
key_conflict        a key is above the version that it was expected to have, and that is not 0: a key that is set may be
                    removed again, which is version 0, but it never gets an old version back
fenced              the actor's lease is held under a later epoch than the one given: the next is later still, and
                    without one a given epoch is fenced as well

Everything else is the log's to decide: a closed session may be reopened, a stranger may join, an expected version that
is above the session's may be reached by what lies on the log already.
"""

from __future__ import annotations

from collections.abc import Iterator

from everlog.domain.event import Event, Payload
from everlog.domain.law import LAW, UnknownRulesError
from everlog.domain.standing import Standing
from everlog.domain.types.batch import BatchAppended
from everlog.domain.types.state import StatePatched
from everlog.domain.verdicts import Duplicate, Reason, Rejected


def early_verdict(standing: Standing, event: Event) -> Duplicate | Rejected | None:
    """The verdict on an event, if it is certain whatever comes before it on the log; None: append it."""
    try:
        verdict = LAW.judge(standing, event)
    except UnknownRulesError:
        return None
    match verdict:
        case Duplicate():
            return verdict
        case Rejected(reason) if _is_final(reason, standing, event):
            return verdict
    return None


def has_conditions(event: Event) -> bool:
    """Whether a look at the standing may spare an append: the event is a retry, or says what it expects."""
    return event.retry or event.expected_version is not None or next(_expected_keys(event.payload), None) is not None


def _is_final(reason: Reason, standing: Standing, event: Event) -> bool:
    match reason:
        case Reason.ERASED | Reason.ID_REUSED | Reason.EXISTS | Reason.RETRY_EXPIRED:
            return True
        case Reason.VERSION_CONFLICT:
            return event.expected_version is not None and standing.version > event.expected_version
        case Reason.KEY_CONFLICT:
            return any(0 < version < standing.key_version(key) for key, version in _expected_keys(event.payload))
        case Reason.FENCED:
            given = event.lease_epoch
            overtaken = given is not None and given < standing.lease_epoch(event.actor)
            return overtaken and not event.payload.needs_no_lease(event.actor)
    return False


def _expected_keys(payload: Payload) -> Iterator[tuple[str, int]]:
    """Keys of the state document with the versions that they are expected to have."""
    if isinstance(payload, StatePatched):
        yield from payload.expected_keys.items()
    elif isinstance(payload, BatchAppended):
        for inner in payload.events:
            yield from _expected_keys(inner)
