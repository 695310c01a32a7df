"""Leases: acquired, released, revoked. The epoch of a lease is the version at which it was acquired."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from everlog.domain.event import Payload, unknown
from everlog.domain.standing import Standing
from everlog.domain.types.fields import Count, Identifier, Text, Version
from everlog.domain.verdicts import Reason, Rejected
from everlog.schemas.limits import LEASE_TTL_S


class LeaseAcquired(Payload, frozen=True):
    """A participant takes its lease."""

    participant: Identifier
    ttl_s: Annotated[int, Meta(ge=1, le=LEASE_TTL_S)]
    supersedes: Count = 0

    def permits(self, standing: Standing, actor: str) -> bool:
        """Only for oneself."""
        return actor == self.participant and standing.may_write(actor)

    def needs_no_lease(self, actor: str) -> bool:
        """This is how one gets it, also over one's own dead predecessor."""
        return True

    def lease_reason(self, standing: Standing) -> Reason | None:
        """Held under an epoch that was not seen dead; a free lease is never held."""
        held = standing.lease_epoch(self.participant)
        return Reason.HELD if held not in (0, self.supersedes) else None

    def refusal(self, standing: Standing) -> Rejected | None:
        """Not present (an owner who left)."""
        return None if standing.is_present(self.participant) else unknown(standing, self.participant)

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """This version fences every writer before."""
        standing.roster[self.participant].lease_epoch = version


class LeaseReleased(Payload, frozen=True):
    """A participant gives its lease back."""

    participant: Identifier
    epoch: Version
    reason: Text | None = None

    def permits(self, standing: Standing, actor: str) -> bool:
        """Only for oneself."""
        return actor == self.participant and standing.may_write(actor)

    def lease_reason(self, standing: Standing) -> Reason | None:
        """Another epoch is held, or none."""
        return None if standing.lease_epoch(self.participant) == self.epoch else Reason.FENCED

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Free."""
        standing.roster[self.participant].lease_epoch = 0


class LeaseRevoked(Payload, frozen=True):
    """A lease is taken away: what its holder left open is abandoned."""

    participant: Identifier
    epoch: Version
    reason: Text | None = None

    def lease_reason(self, standing: Standing) -> Reason | None:
        """Another epoch is held, or none."""
        return None if standing.lease_epoch(self.participant) == self.epoch else Reason.FENCED

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Free, and nothing of its holder is open."""
        standing.roster[self.participant].lease_epoch = 0
        standing.abandon(self.participant)
