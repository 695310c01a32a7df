"""The ring of recent outcomes: makes a retry get its first answer, in at most 6 KiB a session.

Per remembered event 8 bytes of id hash, 4 of content hash and the packed outcome in 6, each in a run of its own, so
that a look-up is one search through at most 2 KiB of id hashes.
"""

from __future__ import annotations

from typing import Final

import msgspec

from everlog.domain.canonical import ID_HASH_BYTES
from everlog.domain.verdicts import Accepted, Duplicate, Reason, Rejected, Verdict, pack, unpack
from everlog.schemas.limits import RING_ACCEPTED, RING_REJECTED

_CONTENT_BYTES: Final = 4
_OUTCOME_BYTES: Final = 6
"""A code and 40 bits of version."""


class Slots(msgspec.Struct, array_like=True):
    """A bounded run of remembered events, oldest first."""

    ids: bytearray = msgspec.field(default_factory=bytearray)
    contents: bytearray = msgspec.field(default_factory=bytearray)
    outcomes: bytearray = msgspec.field(default_factory=bytearray)

    def find(self, id_hash: bytes) -> int:
        """The slot of an id hash, or -1."""
        at = self.ids.find(id_hash)
        while at >= 0 and at % ID_HASH_BYTES:
            at = self.ids.find(id_hash, at + 1)
        return at // ID_HASH_BYTES if at >= 0 else -1

    def remember(self, bound: int, id_hash: bytes, content_hash: bytes, outcome: int) -> None:
        """Add an event and forget the oldest beyond ``bound``."""
        self.ids += id_hash
        self.contents += content_hash[:_CONTENT_BYTES]
        self.outcomes += outcome.to_bytes(_OUTCOME_BYTES, "little")
        if len(self.ids) > bound * ID_HASH_BYTES:
            del self.ids[:ID_HASH_BYTES], self.contents[:_CONTENT_BYTES], self.outcomes[:_OUTCOME_BYTES]

    def answer(self, slot: int, content_hash: bytes) -> Duplicate | None:
        """The first outcome of a slot; None when it was an event of other content."""
        start = slot * _CONTENT_BYTES
        if self.contents[start : start + _CONTENT_BYTES] != content_hash[:_CONTENT_BYTES]:
            return None
        return Duplicate(self.outcome(slot))

    def outcome(self, slot: int) -> Accepted | Rejected:
        """The outcome of a slot."""
        start = slot * _OUTCOME_BYTES
        first = unpack(int.from_bytes(self.outcomes[start : start + _OUTCOME_BYTES], "little"))
        assert isinstance(first, Accepted | Rejected)  # noqa: S101 (a type narrowing: remember packed it)
        return first


class Ring(msgspec.Struct, array_like=True):
    """The last 256 accepted and 64 rejected events of a session."""

    accepted: Slots = msgspec.field(default_factory=Slots)
    rejected: Slots = msgspec.field(default_factory=Slots)

    def recall(self, id_hash: bytes, content_hash: bytes, version: int) -> Duplicate | Rejected | None:
        """The verdict on an id that was judged before; None for a new one."""
        for slots in (self.accepted, self.rejected):
            slot = slots.find(id_hash)
            if slot >= 0:
                return slots.answer(slot, content_hash) or Rejected(Reason.ID_REUSED, version)
        return None

    def outcome(self, id_hash: bytes) -> Accepted | Rejected | None:
        """The outcome of an event id, whatever its content was; None for one that is not remembered."""
        for slots in (self.accepted, self.rejected):
            slot = slots.find(id_hash)
            if slot >= 0:
                return slots.outcome(slot)
        return None

    def remember(self, id_hash: bytes, content_hash: bytes, verdict: Verdict) -> None:
        """Keep a verdict for retries of its event."""
        if isinstance(verdict, Accepted):
            self.accepted.remember(RING_ACCEPTED, id_hash, content_hash, pack(verdict))
        else:
            self.rejected.remember(RING_REJECTED, id_hash, content_hash, pack(verdict))
