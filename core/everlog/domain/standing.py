"""Standing: all of a session that ``decide`` reads. Evolved only by code frozen under a rules number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from everlog.domain.canonical import canonical
from everlog.domain.content import clear_size
from everlog.domain.ring import Ring
from everlog.schemas.identifiers import SYSTEM_ACTOR_PREFIX
from everlog.schemas.limits import STATE_BYTES, STATE_KEYS

Status = Literal["active", "dormant", "closed", "erased"]
Kind = Literal["human", "agent", "service"]
Role = Literal["owner", "editor", "viewer", "analyst"]
Bound = Literal[
    "state_keys", "state_bytes", "labels", "present_participants", "open_runs", "open_tool_calls", "open_interrupts"
]
"""What ``limit_exceeded`` names."""

WRITING_ROLES: Final = frozenset({"owner", "editor"})


class Participant(msgspec.Struct, array_like=True):
    """An entry of the roster. ``lease_epoch`` 0 means that no lease is held."""

    principal: str
    role: Role
    kind: Kind
    present: bool = True
    lease_epoch: int = 0


class Key(msgspec.Struct, array_like=True):
    """A key of the state document: the version that last set it, its size with its value in clear canonical bytes."""

    version: int
    size: int


class Standing(msgspec.Struct):
    """What the verdict on the next event depends on."""

    version: int
    status: Status
    rules: int
    owner: str
    creation: bytes
    """Content hash of the creation: the same creation again is a duplicate. Empty once the session is erased."""
    roster: dict[str, Participant]
    keys: dict[str, Key]
    labels: set[str]
    state_bytes: int = 0
    """Sum of the keys' sizes."""
    present: int = 0
    """Participants present."""
    runs: dict[str, str] = {}
    """Open runs, each with the actor that opened it; likewise below."""
    tool_calls: dict[str, str] = {}
    interrupts: dict[str, str] = {}
    ring: Ring = msgspec.field(default_factory=Ring)

    def is_present(self, participant: str) -> bool:
        """Whether a participant is in the session now."""
        entry = self.roster.get(participant)
        return entry is not None and entry.present

    def may_write(self, actor: str) -> bool:
        """Whether an actor may change the session: its owner, a present owner or editor, or the system."""
        entry = self.roster.get(actor)
        if entry is not None and entry.present and entry.role in WRITING_ROLES:
            return True
        return actor == self.owner or actor.startswith(SYSTEM_ACTOR_PREFIX)

    def may_govern(self, actor: str) -> bool:
        """Whether an actor may act on others: the owner, a present participant of role owner, or the system."""
        entry = self.roster.get(actor)
        if entry is not None and entry.present and entry.role == "owner":
            return True
        return actor == self.owner or actor.startswith(SYSTEM_ACTOR_PREFIX)

    def lease_epoch(self, participant: str) -> int:
        """The epoch under which a participant's lease is held; 0 = it is free."""
        entry = self.roster.get(participant)
        return entry.lease_epoch if entry is not None else 0

    def key_version(self, key: str) -> int:
        """The version that last set a key of the state document; 0 = absent."""
        entry = self.keys.get(key)
        return entry.version if entry is not None else 0

    def exceeded_by(self, values: Mapping[str, Any], removed: Iterable[str] = ()) -> Bound | None:
        """The bound of the state document that setting ``values`` after removing keys would pass, if any."""
        replaced = {key for key in (*removed, *values) if key in self.keys}
        if len(self.keys) - len(replaced) + len(values) > STATE_KEYS:
            return "state_keys"
        size = self.state_bytes - sum(self.keys[key].size for key in replaced)
        if size + sum(entry_size(key, value) for key, value in values.items()) > STATE_BYTES:
            return "state_bytes"
        return None

    def set_keys(self, values: Mapping[str, Any], version: int) -> None:
        """Keys were set at a version."""
        for key, value in values.items():
            self.drop_key(key)
            size = entry_size(key, value)
            self.keys[key] = Key(version, size)
            self.state_bytes += size

    def drop_key(self, key: str) -> None:
        """A key was removed, if it was there."""
        entry = self.keys.pop(key, None)
        if entry is not None:
            self.state_bytes -= entry.size

    def drop_all_keys(self) -> None:
        """The state document is empty."""
        self.keys.clear()
        self.state_bytes = 0

    def free_leases(self) -> None:
        """Nobody holds a lease any more."""
        for entry in self.roster.values():
            entry.lease_epoch = 0

    def abandon(self, opener: str | None = None) -> None:
        """What an actor opened is no longer open, or what anybody did."""
        for opened in (self.runs, self.tool_calls, self.interrupts):
            for name in [name for name, by in opened.items() if opener is None or by == opener]:
                del opened[name]

    def scratch(self) -> Standing:
        """A copy of what a batch may change; it shares what a batch cannot change."""
        return msgspec.structs.replace(
            self,
            keys=dict(self.keys),
            labels=set(self.labels),
            runs=dict(self.runs),
            tool_calls=dict(self.tool_calls),
            interrupts=dict(self.interrupts),
        )


def entry_size(key: str, value: Any) -> int:
    """Bytes that a key and its value count for: their canonical JSON, an encrypted value as if it were clear."""
    return len(canonical(key)) + clear_size(value)
