"""The hot store: current states and the newest timeline entries, in Redis; and the channel of outcomes.

Derived, may be lost at any moment, and never folded from. Every method raises ``UnavailableError``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

import msgspec
import xxhash

from everlog.domain.stored import StoredSession, TimelineEntry

TAIL_ENTRIES = 50
"""Newest entries kept hot per session: a page."""
FRAME_BYTES = 33
"""What an encoded entry takes beside its value, at most: three integers and the markers of msgpack."""
TAIL_BYTES = 256 * 1024 + FRAME_BYTES
"""Their encoded size at most: one record of the largest size."""


class HotWrite(NamedTuple):
    """A session's new document and the entries that were added since the last one, in order.

    The last entry made the document's version. Entries that were changed (a redaction) need ``drop`` first.
    """

    document: StoredSession
    entries: Sequence[TimelineEntry]


def newest_entries(entries: Sequence[TimelineEntry], version: int) -> list[TimelineEntry]:
    """The newest of them that a tail of a session at ``version`` can keep: without a hole, in bounds, oldest first.

    Empty when the last one did not make this version.
    """
    kept: list[TimelineEntry] = []
    size = 0
    for entry in reversed(entries):
        size += len(entry.value) + FRAME_BYTES
        if entry.version != version - len(kept) or len(kept) == TAIL_ENTRIES or size > TAIL_BYTES:
            break
        kept.append(entry)
    kept.reverse()
    return kept


class Outcomes(msgspec.Struct, array_like=True, frozen=True):
    """The published message of a batch: a packed outcome for every offset from ``first`` on."""

    era: int
    partition: int
    first: int
    packed: list[int]
    moved: list[int] = []
    """``key_mark`` of every session that got another version: whoever follows one looks at it."""


def key_mark(key: str) -> int:
    """A short mark of a session: 9 bytes in a message. Two sessions with the same one cost a look in vain."""
    return xxhash.xxh3_64_intdigest(key.encode())


class HotReader(Protocol):
    """What readers of one generation see."""

    async def get(self, key: str) -> StoredSession | None:
        """The hot document; None if it is not hot, or its checksum is wrong (reported)."""

    async def tail(self, key: str, newest: int = TAIL_ENTRIES) -> list[TimelineEntry]:
        """The ``newest`` entries without a hole, oldest first; empty if they are not hot."""

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[Outcomes]]:
        """Outcomes as they are published: every one from the moment that the context is entered.

        Who waits for an outcome enters first and appends then. The iterator ends with ``UnavailableError`` when the
        subscription is lost: what was published meanwhile is not repeated, so look in the warm store.
        """


class HotStore(HotReader, Protocol):
    """What the owner of partitions writes."""

    async def put(self, writes: Sequence[HotWrite]) -> None:
        """Move sessions forward; one that is there with the same or a later (era, offset, revision) is left as it is.

        New entries go behind the tail if they continue it; else the tail starts anew with them.
        """

    async def drop(self, keys: Sequence[str]) -> None:
        """Forget sessions."""

    async def publish(self, outcomes: Outcomes) -> None:
        """Tell every gateway the outcomes of a batch."""

    async def incarnation(self) -> str:
        """A name that changes whenever the store may have lost what it acknowledged: at a restart, at a failover."""

    def at_epoch(self, epoch: int) -> HotStore:
        """The same store under another hot epoch: nothing of the old one is seen."""
