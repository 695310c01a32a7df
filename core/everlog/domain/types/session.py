"""A session's life: created, updated, suspended, resumed, closed, reopened, rewound, erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from everlog.domain.content import Encrypted
from everlog.domain.event import FreeJson, Payload, too_much, unknown
from everlog.domain.ring import Ring
from everlog.domain.standing import Bound, Kind, Participant, Role, Standing, Status, entry_size
from everlog.domain.types.content_fields import Labels, LabelValue, Summary, Title, free_json
from everlog.domain.types.fields import Identifier, StateValues, Text, Version
from everlog.domain.verdicts import Reason, Rejected
from everlog.domain.view import Fork, SummaryPointer, Usage, View
from everlog.schemas import limits
from everlog.schemas.identifiers import check_member

NOT_CLOSED: Final[frozenset[Status]] = frozenset({"active", "dormant"})
NOT_DORMANT: Final[frozenset[Status]] = frozenset({"active", "closed"})
ANY_BUT_ERASED: Final[frozenset[Status]] = frozenset({"active", "dormant", "closed"})


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A participant who is present from the creation on."""

    participant: Identifier
    principal: Identifier
    kind: Kind
    role: Role = "editor"


class ForkedFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The session and version that a fork goes on from."""

    session: Identifier
    version: Version


class SessionCreated(Payload, frozen=True):
    """A session begins."""

    owner: Identifier
    owner_kind: Kind = "human"
    title: Title | None = None
    labels: Labels = {}
    state: StateValues = {}
    participants: Annotated[list[Member], Meta(max_length=limits.PRESENT_PARTICIPANTS - 1)] = []
    forked_from: ForkedFrom | None = None
    summary: Summary | None = None

    def __post_init__(self) -> None:
        """Refuse system names and a participant named twice."""
        names = [self.owner, *(member.participant for member in self.participants)]
        for name in names:
            check_member(name)
        if len(set(names)) != len(names):
            raise ValueError("a participant is named twice")

    def free_json(self) -> Sequence[FreeJson]:
        """The state document, and what a summary holds."""
        return ((1, self.state), *_free_json_of(self.summary))

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
        for member in self.participants:
            standing.roster[member.participant] = Participant(member.principal, member.role, member.kind)
        standing.set_keys(self.state, 1)
        return standing

    def exceeded(self) -> Bound | None:
        """The bound that a creation can pass, if it does; its keys were counted by the decoder."""
        size = sum(entry_size(key, value) for key, value in self.state.items())
        return "state_bytes" if size > limits.STATE_BYTES else None

    def first_view(self, time: str) -> View:
        """The view of version 1."""
        fork = self.forked_from
        return View(
            created_at=time,
            updated_at=time,
            title=_shown(self.title),
            labels={name: _shown(value) for name, value in self.labels.items()},
            state=dict(self.state),
            summary=_pointer(self.summary, 1),
            forked_from=Fork(fork.session, fork.version) if fork is not None else None,
        )


class SessionMetadataUpdated(Payload, frozen=True):
    """Title and labels are merged (RFC 7396)."""

    title: Title | UnsetType | None = UNSET
    labels: Annotated[dict[Identifier, LabelValue | None], Meta(max_length=limits.LABELS)] = {}

    def refusal(self, standing: Standing) -> Rejected | None:
        """Too many labels."""
        if len(_merged(standing.labels, self.labels)) > limits.LABELS:
            return too_much(standing, "labels")
        return None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Label names."""
        standing.labels = _merged(standing.labels, self.labels)

    def show(self, view: View, version: int) -> None:
        """Title and label values."""
        if self.title is not UNSET:
            view.title = _shown(self.title)
        for name, value in self.labels.items():
            if value is None:
                view.labels.pop(name, None)
            else:
                view.labels[name] = _shown(value)


class SessionSuspended(Payload, frozen=True):
    """The session sleeps; every lease is freed."""

    reason: Text | None = None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Status dormant."""
        standing.status = "dormant"
        standing.free_leases()


class SessionResumed(Payload, frozen=True):
    """A suspended session goes on."""

    accepted_when: ClassVar[frozenset[Status]] = NOT_CLOSED

    reason: Text | None = None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Status active."""
        standing.status = "active"


class SessionClosed(Payload, frozen=True):
    """The session ends: leases are freed, what is open is abandoned."""

    accepted_when: ClassVar[frozenset[Status]] = NOT_CLOSED

    outcome: Text | None = None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Status closed."""
        standing.status = "closed"
        standing.free_leases()
        standing.abandon()


class SessionReopened(Payload, frozen=True):
    """A closed session goes on."""

    accepted_when: ClassVar[frozenset[Status]] = NOT_DORMANT

    reason: Text | None = None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Status active."""
        standing.status = "active"


class SessionErased(Payload, frozen=True):
    """Identity and version stay; everything else goes."""

    accepted_when: ClassVar[frozenset[Status]] = ANY_BUT_ERASED

    reason: Text
    requested_by: Identifier

    def permits(self, standing: Standing, actor: str) -> bool:
        """Only who governs the session."""
        return standing.may_govern(actor)

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Status erased, for ever."""
        standing.status = "erased"
        standing.owner, standing.creation, standing.ring = "", b"", Ring()
        standing.roster, standing.present = {}, 0
        standing.labels = set()
        standing.drop_all_keys()
        standing.abandon()

    def show(self, view: View, version: int) -> None:
        """Only the times stay."""
        view.title, view.labels, view.state = None, {}, {}
        view.usage, view.messages, view.artifacts = Usage(), 0, []
        view.summary = view.forked_from = None


class SessionRewound(Payload, frozen=True):
    """Title, labels, state and summary of an earlier version come back."""

    needs_expected_version: ClassVar[bool] = True

    to_version: Version
    title: Title | None = None
    labels: Labels = {}
    state: StateValues = {}
    summary: Summary | None = None

    def free_json(self) -> Sequence[FreeJson]:
        """The state document, and what a summary holds."""
        return ((1, self.state), *_free_json_of(self.summary))

    def refusal(self, standing: Standing) -> Rejected | None:
        """A version that is not there yet; a state document that would be too large."""
        if self.to_version > standing.version:
            return unknown(standing, f"version {self.to_version}")
        limit = standing.exceeded_by(self.state, list(standing.keys))
        return too_much(standing, limit) if limit is not None else None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Carried keys get this version, others become absent."""
        standing.labels = set(self.labels)
        standing.drop_all_keys()
        standing.set_keys(self.state, version)

    def show(self, view: View, version: int) -> None:
        """The carried content."""
        view.title = _shown(self.title)
        view.labels = {name: _shown(value) for name, value in self.labels.items()}
        view.state = dict(self.state)
        view.summary = _pointer(self.summary, version)


def creation_too_large(payload: SessionCreated) -> Rejected | None:
    """The verdict on a creation that passes a bound."""
    limit = payload.exceeded()
    return Rejected(Reason.LIMIT_EXCEEDED, 0, (limit,)) if limit is not None else None


def _free_json_of(summary: Summary | None) -> Sequence[FreeJson]:
    return free_json(summary.parts, around=2) if summary is not None else ()


def _merged(names: set[str], patch: dict[str, LabelValue | None]) -> set[str]:
    return {*names, *patch} - {name for name, value in patch.items() if value is None}


def _shown(value: str | Encrypted | None) -> Any:
    """A content value as JSON."""
    return msgspec.to_builtins(value) if isinstance(value, Encrypted) else value


def _pointer(summary: Summary | None, version: int) -> SummaryPointer | None:
    return SummaryPointer(version, summary.from_version, summary.to_version) if summary is not None else None
