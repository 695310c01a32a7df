"""Standing: all of a session that ``decide`` reads. Evolved only by code frozen under a rules number."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from everlog.domain.ring import Ring
from everlog.schemas.identifiers import SYSTEM_ACTOR_PREFIX

Status = Literal["active", "dormant", "closed"]
Kind = Literal["human", "agent", "service"]
Role = Literal["owner", "editor", "viewer", "analyst"]

WRITING_ROLES: Final = frozenset({"owner", "editor"})


class Participant(msgspec.Struct, array_like=True):
    """An entry of the roster. ``lease_epoch`` 0 means that no lease is held."""

    principal: str
    role: Role
    kind: Kind
    present: bool = True
    lease_epoch: int = 0


class Key(msgspec.Struct, array_like=True):
    """A key of the state document: the version that last set it, its size with its value in canonical bytes."""

    version: int
    size: int


class Standing(msgspec.Struct):
    """What the verdict on the next event depends on."""

    version: int
    status: Status
    rules: int
    owner: str
    creation: bytes
    """Content hash of the creation: the same creation again is a duplicate."""
    roster: dict[str, Participant]
    keys: dict[str, Key]
    labels: set[str]
    state_bytes: int = 0
    """Sum of the keys' sizes."""
    present: int = 0
    """Participants present."""
    ring: Ring = msgspec.field(default_factory=Ring)

    def is_present(self, participant: str) -> bool:
        """Whether a participant is in the session now."""
        entry = self.roster.get(participant)
        return entry is not None and entry.present

    def may_write(self, actor: str) -> bool:
        """Whether an actor may change the session: its owner, a present owner or editor, or the system."""
        entry = self.roster.get(actor)
        return (
            actor == self.owner
            or (entry is not None and entry.present and entry.role in WRITING_ROLES)
            or actor.startswith(SYSTEM_ACTOR_PREFIX)
        )

    def may_govern(self, actor: str) -> bool:
        """Whether an actor may act on others: the owner, a present participant of role owner, or the system."""
        entry = self.roster.get(actor)
        return (
            actor == self.owner
            or (entry is not None and entry.present and entry.role == "owner")
            or actor.startswith(SYSTEM_ACTOR_PREFIX)
        )

    def key_version(self, key: str) -> int:
        """The version that last set a key of the state document; 0 = absent."""
        entry = self.keys.get(key)
        return entry.version if entry is not None else 0

    def set_key(self, key: str, version: int, size: int) -> None:
        """A key was set; ``size`` in canonical bytes."""
        self.drop_key(key)
        self.keys[key] = Key(version, size)
        self.state_bytes += size

    def drop_key(self, key: str) -> None:
        """A key was removed, if it was there."""
        entry = self.keys.pop(key, None)
        if entry is not None:
            self.state_bytes -= entry.size

    def free_leases(self) -> None:
        """Nobody holds a lease any more."""
        for entry in self.roster.values():
            entry.lease_epoch = 0

    def scratch(self) -> Standing:
        """A copy whose bounds and references a batch may change; it shares what a batch cannot change."""
        return msgspec.structs.replace(self, keys=dict(self.keys), labels=set(self.labels), ring=Ring())
