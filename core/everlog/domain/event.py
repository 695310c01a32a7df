"""A decoded event: what the law reads of a record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import msgspec

from everlog.domain.standing import Bound, Standing, Status
from everlog.domain.verdicts import Reason, Rejected
from everlog.domain.view import View

ACTIVE: Final[frozenset[Status]] = frozenset({"active"})

FreeJson = tuple[int, Any]
"""A free JSON value in the data of an event, and how many objects and arrays stand around it, the data counted."""


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What an event's type means: its data, its own checks, and its part of the fold.

    All but ``show`` are rules: they see the standing and nothing else. ``show`` is the fold of the view. Each type
    overrides what it needs; this base is an event that changes nothing.
    """

    accepted_when: ClassVar[frozenset[Status]] = ACTIVE
    """Statuses in which it is accepted."""
    needs_expected_version: ClassVar[bool] = False

    def free_json(self) -> Sequence[FreeJson]:
        """The free JSON values in the data; the decoder checks each."""
        return ()

    def permits(self, standing: Standing, actor: str) -> bool:
        """Whether the actor's place in the session allows this event."""
        return standing.may_write(actor)

    def needs_no_lease(self, actor: str) -> bool:
        """Whether an agent without a lease, or with another one, may do this."""
        return False

    def lease_reason(self, standing: Standing) -> Reason | None:
        """``FENCED`` where the event names an epoch that is not held, ``HELD`` where it wants a lease that is."""
        return None

    def conflict(self, standing: Standing) -> tuple[str, ...]:
        """State keys that do not have their expected versions."""
        return ()

    def refusal(self, standing: Standing) -> Rejected | None:
        """An unknown reference, something already open, or a bound that would be passed, in this order."""
        return None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Fold into the standing, in place; ``version`` is the one this event makes."""

    def show(self, view: View, version: int) -> None:
        """Fold into the view, in place."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """A decoded event."""

    key: str
    """``tenant/session``"""
    id: str
    type: str
    actor: str
    time: str
    payload: Payload
    id_hash: bytes
    content_hash: bytes
    rules: int = 1
    expected_version: int | None = None
    lease_epoch: int | None = None
    retry: bool = False
    seen_version: int | None = None


class Malformed(msgspec.Struct, frozen=True):
    """A value that is not an event under its rules; ``detail`` says why, without its content."""

    detail: str
    id: str | None = None
    """The event id where it can still be read."""


class UnknownRules(msgspec.Struct, frozen=True):
    """A value that was written under rules which this code does not know: its reader must halt."""

    rules: int


def unknown(standing: Standing, *names: str) -> Rejected:
    """The refusal of an event that names what is not open, present or reached."""
    return Rejected(Reason.UNKNOWN_REFERENCE, standing.version, names)


def already_open(standing: Standing, name: str) -> Rejected:
    """The refusal of an event that opens what is open."""
    return Rejected(Reason.ALREADY_OPEN, standing.version, (name,))


def too_much(standing: Standing, limit: Bound) -> Rejected:
    """The refusal of an event that would pass a bound."""
    return Rejected(Reason.LIMIT_EXCEEDED, standing.version, (limit,))
