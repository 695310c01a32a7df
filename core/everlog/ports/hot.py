"""The hot store: current states and the newest timeline entries, in Redis; and the channel of outcomes.

Derived, may be lost at any moment, and never folded from. Every method raises ``UnavailableError``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from everlog.domain.stored import StoredSession, TimelineEntry

TAIL_ENTRIES = 50
"""Newest entries kept hot per session: a page."""
TAIL_BYTES = 256 * 1024
"""Their size at most: one record of the largest size."""


class HotWrite(NamedTuple):
    """A session's new document and the entries that were added since the last one, in order."""

    document: StoredSession
    entries: Sequence[TimelineEntry]


class Outcomes(msgspec.Struct, array_like=True, frozen=True):
    """The published message of a batch: a packed outcome for every offset from ``first`` on."""

    era: int
    partition: int
    first: int
    packed: list[int]


class HotReader(Protocol):
    """What readers of one generation see."""

    async def get(self, key: str) -> StoredSession | None:
        """The hot document; None if it is not hot, or its checksum is wrong (reported)."""

    async def tail(self, key: str) -> list[TimelineEntry]:
        """The newest entries without a hole, oldest first; empty if they are not hot."""

    def outcomes(self) -> AsyncIterator[Outcomes]:
        """Outcomes as they are published, from the subscription on; ends with ``UnavailableError``."""


class HotStore(HotReader, Protocol):
    """What the owner of partitions writes."""

    async def put(self, writes: Sequence[HotWrite]) -> None:
        """Move sessions forward; one that is there with the same or a later position and revision is left as it is."""

    async def drop(self, keys: Sequence[str]) -> None:
        """Forget sessions."""

    async def publish(self, outcomes: Outcomes) -> None:
        """Tell every gateway the outcomes of a batch."""

    def at_epoch(self, epoch: int) -> HotStore:
        """The same store under another hot epoch: nothing of the old one is seen."""
