"""The ring of recent outcomes: makes a retry get its first answer, in at most 6 KiB a session.

A remembered event takes 18 bytes: 8 of its id's hash, 4 of its content's, and the packed outcome in 6. They lie one
behind the other, oldest first, so that a look-up is one search through at most 4.5 KiB. What the ring holds is part of
the rules: exactly the last 256 accepted and the last 64 rejected events.
"""

from __future__ import annotations

from typing import Final

import msgspec

from everlog.domain.canonical import ID_HASH_BYTES
from everlog.domain.verdicts import Accepted, Duplicate, Reason, Rejected, pack, unpack
from everlog.schemas.limits import RING_ACCEPTED, RING_REJECTED

_CONTENT_BYTES: Final = 4
_OUTCOME_BYTES: Final = 6
"""A code and 40 bits of version."""
_OUTCOME_AT: Final = ID_HASH_BYTES + _CONTENT_BYTES
_SLOT: Final = _OUTCOME_AT + _OUTCOME_BYTES


class Ring(msgspec.Struct, array_like=True):
    """The last 256 accepted and 64 rejected events of a session."""

    accepted: bytearray = msgspec.field(default_factory=bytearray)
    rejected: bytearray = msgspec.field(default_factory=bytearray)

    def recall(self, id_hash: bytes, content_hash: bytes, version: int) -> Duplicate | Rejected | None:
        """The verdict on an id that was judged before; None for a new one."""
        if self.accepted.find(id_hash) < 0 and self.rejected.find(id_hash) < 0:  # most ids are new
            return None
        slot = self._find(id_hash)
        if slot is None:
            return None
        if slot[ID_HASH_BYTES:_OUTCOME_AT] != content_hash[:_CONTENT_BYTES]:
            return Rejected(Reason.ID_REUSED, version)
        return Duplicate(_outcome(slot))

    def outcome(self, id_hash: bytes) -> Accepted | Rejected | None:
        """The outcome of an event id, whatever its content was; None for one that is not remembered."""
        slot = self._find(id_hash)
        return _outcome(slot) if slot is not None else None

    def remember(self, id_hash: bytes, content_hash: bytes, verdict: Accepted | Rejected) -> None:
        """Keep a verdict for retries of its event, and forget the oldest of its kind beyond the bound."""
        if isinstance(verdict, Accepted):
            slots, bound = self.accepted, RING_ACCEPTED * _SLOT
        else:
            slots, bound = self.rejected, RING_REJECTED * _SLOT
        slots += id_hash + content_hash[:_CONTENT_BYTES] + pack(verdict).to_bytes(_OUTCOME_BYTES, "little")
        if len(slots) > bound:
            del slots[:_SLOT]

    def _find(self, id_hash: bytes) -> bytes | None:
        for slots in (self.accepted, self.rejected):
            at = slots.find(id_hash)
            while at >= 0:
                if at % _SLOT == 0:
                    return bytes(slots[at : at + _SLOT])
                at = slots.find(id_hash, at + 1)
        return None


def _outcome(slot: bytes) -> Accepted | Rejected:
    outcome = unpack(int.from_bytes(slot[_OUTCOME_AT:], "little"))
    assert isinstance(outcome, Accepted | Rejected)  # noqa: S101 (a type narrowing: remember packed it)
    return outcome
