"""A decoded event: what the law reads of a record."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from everlog.domain.standing import Standing, Status
from everlog.domain.verdicts import Rejected
from everlog.domain.view import View


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an event's type means: its data, its own checks, and its part of the fold.

    ``conflict``, ``refusal``, ``permits`` and ``advance`` are rules: they see the standing and nothing else. ``show``
    is the fold of the view. Each type overrides what it needs; this base is an event that changes nothing.
    """

    accepted_when: ClassVar[frozenset[Status]] = frozenset({"active"})

    def is_plain(self) -> bool:
        """Whether the free JSON in the data is canonical when keys are sorted (see ``canonical.is_plain``)."""
        return True

    def permits(self, standing: Standing, actor: str) -> bool:
        """Whether the actor's place in the session allows this event."""
        return standing.may_write(actor)

    def needs_no_lease(self, actor: str) -> bool:
        """Whether even an agent without a lease may do this."""
        return False

    def conflict(self, standing: Standing) -> tuple[str, ...]:
        """State keys that do not have their expected versions."""
        return ()

    def refusal(self, standing: Standing) -> Rejected | None:
        """An unknown reference, something already open, or a bound that would be passed, in this order."""
        return None

    def advance(self, standing: Standing, version: int) -> None:
        """Fold into the standing, in place; ``version`` is the one this event makes."""

    def show(self, view: View, version: int) -> None:
        """Fold into the view, in place."""


class Event(msgspec.Struct, frozen=True):
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
