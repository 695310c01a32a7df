"""Verdicts: what the log's order makes of an event, and their packed form.

A packed outcome is one 64-bit integer: the low byte is a code, the rest a number whose meaning the code gives.
Outcomes of a batch of the log are one packed integer per offset: dense, so no ids are needed.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec


class Reason(IntEnum):
    """Why an event was rejected. The numbers are stored: never reuse or change one."""

    MALFORMED = 1
    ERASED = 2
    DUPLICATE = 3
    ID_REUSED = 4
    RETRY_EXPIRED = 5
    NOT_FOUND = 6
    EXISTS = 7
    CLOSED = 8
    DORMANT = 9
    FORBIDDEN = 10
    FENCED = 11
    HELD = 12
    VERSION_CONFLICT = 13
    KEY_CONFLICT = 14
    UNKNOWN_REFERENCE = 15
    ALREADY_OPEN = 16
    LIMIT_EXCEEDED = 17

    @property
    def text(self) -> str:
        """The reason as people and HTTP see it: ``version_conflict``."""
        return self.name.lower()


WITHOUT_SLOT: Final = frozenset(
    {Reason.MALFORMED, Reason.ERASED, Reason.DUPLICATE, Reason.ID_REUSED, Reason.RETRY_EXPIRED, Reason.NOT_FOUND}
)
"""Rejections that the ring does not remember: they say something about an earlier event, or there is no ring."""


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The event was accepted and made the session's ``version``."""

    version: int


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """The event was rejected and left no trace but this.

    ``version`` is the session's at that moment (0 = no session), ``detail`` names what clashed.
    """

    reason: Reason
    version: int = 0
    detail: tuple[str, ...] = ()


class Duplicate(msgspec.Struct, frozen=True, gc=False):
    """The event id was judged before; ``first`` is that verdict."""

    first: Accepted | Rejected


Verdict = Accepted | Rejected | Duplicate

_ACCEPTED: Final = 0
_DUPLICATE_OF: Final = 64
"""Added to the code of the first outcome."""
_FOREIGN: Final = 127
_PENDING: Final = 126

FOREIGN: Final = _FOREIGN
"""Packed outcome of a record that belongs to no session."""
PENDING: Final = _PENDING
"""Packed outcome of a record whose session is parked."""


def pack(verdict: Verdict) -> int:
    """One integer for a verdict."""
    if isinstance(verdict, Accepted):
        return verdict.version << 8 | _ACCEPTED
    if isinstance(verdict, Rejected):
        return verdict.version << 8 | verdict.reason
    return pack(verdict.first) | _DUPLICATE_OF


def unpack(packed: int) -> Verdict | None:
    """The verdict of a packed outcome, without its details; None for ``FOREIGN`` and ``PENDING``."""
    code, number = packed & 0xFF, packed >> 8
    if code >= _PENDING:
        return None
    if code & _DUPLICATE_OF:
        first = unpack(number << 8 | code & ~_DUPLICATE_OF)
        assert isinstance(first, Accepted | Rejected)  # noqa: S101 (a type narrowing: pack made it)
        return Duplicate(first)
    if code == _ACCEPTED:
        return Accepted(number)
    return Rejected(Reason(code), number)
