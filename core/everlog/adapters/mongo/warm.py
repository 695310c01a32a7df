"""The warm store of one generation in MongoDB: collections ``<name>_g<generation>`` of the view database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence

from everlog.adapters.mongo.connection import Database
from everlog.adapters.mongo.sessions import Sessions
from everlog.adapters.mongo.timeline import Edits, Rejections, Timeline
from everlog.adapters.mongo.watermarks import Outcomes, Watermarks
from everlog.domain.redaction import Edit, Redactions
from everlog.domain.searching import Query
from everlog.domain.stored import Loaded, Parked, Rejection, TimelineEntry
from everlog.ports.warm import ClosedBatch, Hit, Idle, SessionWrite, Written


class MongoWarmStore:
    """A ``WarmStore``. ``now_ms`` tells the time of writing, milliseconds since 1970."""

    def __init__(self, database: Database, generation: int, *, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._sessions = Sessions(database[f"sessions_g{generation}"])
        self._timeline = Timeline(database[f"timeline_g{generation}"])
        self._edits = Edits(database[f"edits_g{generation}"])
        self._rejections = Rejections(database[f"rejections_g{generation}"])
        self._outcomes = Outcomes(database[f"outcomes_g{generation}"])
        self._watermarks = Watermarks(database[f"watermarks_g{generation}"])

    async def ensure_indexes(self) -> None:
        """Create what is needed beside ``_id``; called by ``everlog init`` and by whoever attaches a generation."""
        await self._sessions.ensure_indexes()

    async def load(self, keys: Collection[str]) -> dict[str, Loaded]:
        """The documents of those sessions that have one. Raises ``DamagedDocumentsError``."""
        return await self._sessions.load(keys)

    async def versions(self, keys: Collection[str]) -> dict[str, int]:
        """The versions of those sessions that have a document."""
        return await self._sessions.versions(keys)

    async def search(self, query: Query) -> list[Hit]:
        """The sessions that a query finds, the latest updated first."""
        return await self._sessions.search(query)

    async def timeline(self, key: str, first: int, last: int) -> list[TimelineEntry]:
        """The warm entries of versions ``first`` to ``last`` inclusive, in order."""
        return await self._timeline.read(key, first, last)

    async def rejection(self, key: str, event_id: str) -> Rejection | None:
        """The first rejection of an event id."""
        return await self._rejections.read(key, event_id)

    async def watermark(self, era: int, partition: int) -> int | None:
        """Every record below it is folded and stored."""
        return await self._watermarks.read(era, partition)

    async def outcome(self, era: int, partition: int, offset: int) -> int | None:
        """The packed outcome of a record."""
        packed = await self._outcomes.read(era, partition, offset)
        if packed is None and offset < (await self._watermarks.read(era, partition) or 0):
            packed = await self._outcomes.search(era, partition, offset)
        return packed

    async def write_sessions(self, writes: Sequence[SessionWrite]) -> Written:
        """Write documents onto their bases. Raises ``IntegrityError`` when acknowledged writes are gone."""
        return await self._sessions.write(writes, self._now_ms())

    async def insert_timeline(self, entries: Sequence[tuple[str, TimelineEntry]]) -> None:
        """Insert (session key, entry)."""
        await self._timeline.insert(entries)

    async def insert_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Insert rejections."""
        await self._rejections.insert(rejections)

    async def insert_edits(self, edits: Sequence[tuple[str, Edit]]) -> None:
        """Note (session key, edit)."""
        await self._edits.insert(edits)

    async def redact(self, key: str, taken_back: Redactions) -> int:
        """Blank entries, each onto its exact content."""
        messages = {message for message, _ in taken_back}
        edited = await self._edits.read(key, min(messages), max(messages))
        versions = messages.union(edit.version for edit in edited if edit.message in messages)
        return await self._timeline.blank(key, sorted(versions), taken_back)

    async def close_batch(self, batch: ClosedBatch) -> bool:
        """Store the outcomes, then move the watermark; in this order, so that no record below it lacks its outcome."""
        await self._outcomes.insert(batch)
        return await self._watermarks.move(batch)

    async def begin(self, era: int, partition: int, offset: int) -> None:
        """Drop the partition's documents, then give it its first watermark; nothing if it has one."""
        if await self._watermarks.read(era, partition) is None:
            await self._sessions.drop_partition(partition)
            await self._watermarks.begin(era, partition, offset)

    async def delete_timeline(self, key: str, first: int, last: int) -> None:
        """Delete the entries of versions ``first`` to ``last`` inclusive, and what is noted of them."""
        await self._timeline.delete(key, first, last)
        await self._edits.delete(key, first, last)

    def idle(self, before_ms: int, *, stubs: bool = False) -> AsyncIterator[Idle]:
        """Sessions whose document was last written before that time."""
        return self._sessions.idle(before_ms, stubs=stubs)

    def parked(self, partition: int) -> AsyncIterator[tuple[str, Parked]]:
        """The parked sessions of a partition."""
        return self._sessions.parked(partition)
