"""The warm store: one generation's view of the log, in MongoDB.

Only the owner of a partition writes its documents and its watermark; everyone reads. Writes are acknowledged by a
majority, reads come from the primary. Every method raises ``UnavailableError`` when the store does not answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from everlog.domain.redaction import Edit, Redactions
from everlog.domain.searching import Query
from everlog.domain.stored import Base, Loaded, Parked, Rejection, StoredSession, TimelineEntry
from everlog.schemas.errors import IntegrityError


class DamagedDocumentsError(IntegrityError):
    """Documents whose checksum is wrong or that cannot be read: to a reader they are a miss, the owner rebuilds them.

    ``damaged`` has the base of each, as it stands beside the document, onto which another one can be written.
    """

    def __init__(self, damaged: Mapping[str, Base], detail: str) -> None:
        super().__init__(detail, hint="The projector rebuilds it from history with the session's next event or repair")
        self.damaged = damaged


class SessionWrite(NamedTuple):
    """A document to be written onto the exact base that it was folded from; None = there must be none."""

    document: StoredSession
    base: Base | None


class Written(NamedTuple):
    """What came of a write of documents.

    ``documents`` are those that lie in the store now, with the base for the next write; ``moved`` are keys whose base
    was another and newer: drop what you cached, load and fold again.
    """

    documents: dict[str, Loaded]
    moved: frozenset[str]


class ClosedBatch(NamedTuple):
    """A stretch of a partition that is folded and stored, with a packed outcome per offset."""

    era: int
    partition: int
    first: int
    next: int
    outcomes: Sequence[int]


class Idle(NamedTuple):
    """A session that has not changed for long, and the position of its last record."""

    key: str
    era: int
    partition: int
    offset: int


class Hit(NamedTuple):
    """A session that was looked for: its key, the time that it is ordered by, its document; None if that is damaged."""

    key: str
    updated_ms: int
    stored: StoredSession | None


class WarmReader(Protocol):
    """What readers of one generation see."""

    async def load(self, keys: Collection[str]) -> dict[str, Loaded]:
        """The documents of those sessions that have one.

        Raises ``DamagedDocumentsError`` when one of them is damaged.
        """

    async def versions(self, keys: Collection[str]) -> dict[str, int]:
        """The versions of those sessions that have a document."""

    async def search(self, query: Query) -> list[Hit]:
        """The sessions that a query finds, the latest updated first."""

    async def timeline(self, key: str, first: int, last: int) -> list[TimelineEntry]:
        """The entries of versions ``first`` to ``last`` inclusive that are warm, in order (at most 1,024 asked for)."""

    async def rejection(self, key: str, event_id: str) -> Rejection | None:
        """The first rejection of an event id."""

    async def watermark(self, era: int, partition: int) -> int | None:
        """Every record below it is folded and stored; None where the partition has never been folded."""

    async def outcome(self, era: int, partition: int, offset: int) -> int | None:
        """The packed outcome of a record; None where it is not known here."""

    def idle(self, before_ms: int, *, stubs: bool = False) -> AsyncIterator[Idle]:
        """Sessions whose document was last written before that time (milliseconds since 1970), without stubs unless
        asked for. A full scan: for operators' work in the background."""

    def parked(self, partition: int) -> AsyncIterator[tuple[str, Parked]]:
        """The parked sessions of a partition, cold ones included, in no order."""


class WarmStore(WarmReader, Protocol):
    """What the owner of partitions writes."""

    async def write_sessions(self, writes: Sequence[SessionWrite]) -> Written:
        """Write documents onto their bases, in bulk; sending the same writes again is harmless.

        Raises ``IntegrityError`` when a document is older than the base it was folded from, or missing: the store lost
        acknowledged writes.
        """

    async def insert_timeline(self, entries: Sequence[tuple[str, TimelineEntry]]) -> None:
        """Insert (session key, entry); an entry that is there already is left as it is."""

    async def insert_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Insert rejections; one that is there already is left as it is."""

    async def insert_edits(self, edits: Sequence[tuple[str, Edit]]) -> None:
        """Note (session key, edit) for redactions to come; one that is there already is left as it is."""

    async def redact(self, key: str, taken_back: Redactions) -> int:
        """Blank the entries of a session of which something is taken back, and those of their noted edits, as far as
        they are warm; how many were not blanked yet."""

    async def close_batch(self, batch: ClosedBatch) -> bool:
        """Store the outcomes, then move the watermark from ``first`` to ``next`` by compare-and-set.

        True also when it stands at ``next`` already. False: somebody else moved it; read it again.
        """

    async def begin(self, era: int, partition: int, offset: int) -> None:
        """Give a partition that has no watermark its first one, and drop every document of the partition: none of them
        is trusted without a watermark."""

    async def delete_timeline(self, key: str, first: int, last: int) -> None:
        """Delete the entries of versions ``first`` to ``last`` inclusive, and what is noted of them."""
