"""A session's life: created, suspended, resumed, closed."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from everlog.domain.canonical import is_plain
from everlog.domain.event import Payload
from everlog.domain.standing import Kind, Participant, Role, Standing, Status
from everlog.domain.types.fields import Identifier, LabelValue, StateKey, Text, Title, check_member
from everlog.domain.types.state import entry_size
from everlog.domain.verdicts import Reason, Rejected
from everlog.domain.view import View
from everlog.schemas import limits


class InitialParticipant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A participant who is present from the creation on."""

    participant: Identifier
    principal: Identifier
    kind: Kind
    role: Role = "editor"


class SessionCreated(Payload, frozen=True):
    """A session begins."""

    owner: Identifier
    owner_kind: Kind = "human"
    title: Title | None = None
    labels: Annotated[dict[Identifier, LabelValue], Meta(max_length=limits.LABELS)] = {}
    state: Annotated[dict[StateKey, Any], Meta(max_length=limits.STATE_KEYS)] = {}
    participants: Annotated[list[InitialParticipant], Meta(max_length=limits.PRESENT_PARTICIPANTS - 1)] = []

    def __post_init__(self) -> None:
        """Refuse system names and a participant named twice."""
        names = [self.owner, *(entry.participant for entry in self.participants)]
        for name in names:
            check_member(name)
        if len(set(names)) != len(names):
            raise ValueError("a participant is named twice")

    def is_plain(self) -> bool:
        """The state document is free JSON."""
        return is_plain(self.state)

    def too_large(self) -> Rejected | None:
        """The one bound that a creation can pass."""
        if sum(entry_size(key, value) for key, value in self.state.items()) > limits.STATE_BYTES:
            return Rejected(Reason.LIMIT_EXCEEDED, 0, ("state_bytes",))
        return None

    def first_standing(self, content_hash: bytes, rules: int) -> Standing:
        """The standing of version 1, without its ring."""
        standing = Standing(
            version=1,
            status="active",
            rules=rules,
            owner=self.owner,
            creation=content_hash,
            roster={self.owner: Participant(self.owner, "owner", self.owner_kind)},
            keys={},
            labels=set(self.labels),
            present=1 + len(self.participants),
        )
        for entry in self.participants:
            standing.roster[entry.participant] = Participant(entry.principal, entry.role, entry.kind)
        for key, value in self.state.items():
            standing.set_key(key, 1, entry_size(key, value))
        return standing

    def first_view(self, time: str) -> View:
        """The view of version 1."""
        return View(time, time, title=self.title, labels=dict(self.labels), state=dict(self.state))


class SessionSuspended(Payload, frozen=True):
    """The session sleeps; every lease is freed."""

    reason: Text | None = None

    def advance(self, standing: Standing, version: int) -> None:
        """Status dormant."""
        standing.status = "dormant"
        standing.free_leases()


class SessionResumed(Payload, frozen=True):
    """A suspended session goes on."""

    accepted_when: ClassVar[frozenset[Status]] = frozenset({"active", "dormant"})

    reason: Text | None = None

    def advance(self, standing: Standing, version: int) -> None:
        """Status active."""
        standing.status = "active"


class SessionClosed(Payload, frozen=True):
    """The session ends; every lease is freed."""

    accepted_when: ClassVar[frozenset[Status]] = frozenset({"active", "dormant"})

    outcome: Text | None = None

    def advance(self, standing: Standing, version: int) -> None:
        """Status closed."""
        standing.status = "closed"
        standing.free_leases()
