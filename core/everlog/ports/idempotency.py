"""Idempotency records: which keys a door has seen, with what request, before it handed anything over.

A source, kept in the control database: no log tells which of two equal records was a retry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

KEPT_S = 7 * 24 * 3600
"""How long a key is remembered: longer than any client, queue or spool goes on trying (Stripe keeps keys for a day)."""
RECORDED_AT_ONCE = 500
"""First tries of one call at most: about 200 KB."""


class FirstTry(msgspec.Struct, frozen=True):
    """A request under a key of its caller's, as it was before anything was handed over."""

    key: str
    """``tenant/principal/place/key``; a place is a session's id, or a route that begins with a slash."""
    digest: bytes
    """Of all that the request asks for: a retry has the same."""
    event_id: str
    seen_version: int
    """The session's version as the door knew it; 0 = none."""
    recorded_ms: int
    """The door's clock, milliseconds since 1970."""


class IdempotencyStore(Protocol):
    """Remembers first tries. Every method raises ``UnavailableError``."""

    async def record(self, tries: Sequence[FirstTry]) -> list[FirstTry | None]:
        """Keep each try unless its key is known already; durable when it returns (majority).

        For each try, in order: None if it is the first of its key, else the one that was recorded before it, an
        earlier one of the same call included. At most ``RECORDED_AT_ONCE``.
        """

    async def sweep(self, before_ms: int) -> int:
        """Forget what was recorded before that time; how many were there."""
