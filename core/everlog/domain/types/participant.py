"""Participants join, leave and change their roles."""

from __future__ import annotations

from everlog.domain.event import Payload, already_open, too_much, unknown
from everlog.domain.standing import Kind, Participant, Role, Standing
from everlog.domain.types.fields import Identifier, Text
from everlog.domain.verdicts import Rejected
from everlog.schemas import limits
from everlog.schemas.identifiers import check_member


class ParticipantJoined(Payload, frozen=True):
    """A participant joins."""

    participant: Identifier
    principal: Identifier
    kind: Kind
    role: Role = "editor"

    def __post_init__(self) -> None:
        """Refuse system names."""
        check_member(self.participant)

    def permits(self, standing: Standing, actor: str) -> bool:
        """Joining is authorised by the door."""
        return True

    def needs_no_lease(self, actor: str) -> bool:
        """Joining oneself comes before any lease."""
        return actor == self.participant

    def refusal(self, standing: Standing) -> Rejected | None:
        """Present already, or the session is full."""
        if standing.is_present(self.participant):
            return already_open(standing, self.participant)
        if standing.present >= limits.PRESENT_PARTICIPANTS:
            return too_much(standing, "present_participants")
        return None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """A new entry; the owner's, which stays, is present again."""
        standing.present += 1
        if self.participant == standing.owner:
            standing.roster[self.participant].present = True
        else:
            standing.roster[self.participant] = Participant(self.principal, self.role, self.kind)


class ParticipantLeft(Payload, frozen=True):
    """A participant leaves: its lease is free, what it left open is abandoned."""

    participant: Identifier
    reason: Text | None = None

    def permits(self, standing: Standing, actor: str) -> bool:
        """Anyone present may leave; only who governs the session may make another leave."""
        return standing.may_govern(actor) or (actor == self.participant and standing.is_present(actor))

    def refusal(self, standing: Standing) -> Rejected | None:
        """Not present."""
        return None if standing.is_present(self.participant) else unknown(standing, self.participant)

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """The entry goes; the owner's stays, absent, with its kind."""
        standing.present -= 1
        standing.abandon(self.participant)
        if self.participant == standing.owner:
            entry = standing.roster[self.participant]
            entry.present, entry.lease_epoch = False, 0
        else:
            del standing.roster[self.participant]


class ParticipantRoleChanged(Payload, frozen=True):
    """A participant gets another role."""

    participant: Identifier
    role: Role

    def permits(self, standing: Standing, actor: str) -> bool:
        """Only who governs the session."""
        return standing.may_govern(actor)

    def refusal(self, standing: Standing) -> Rejected | None:
        """Not present."""
        return None if standing.is_present(self.participant) else unknown(standing, self.participant)

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """The entry's role."""
        standing.roster[self.participant].role = self.role
