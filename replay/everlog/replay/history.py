"""History from the archive, then Kafka's tail: no gap, no overlap.

The archive says by its tiling that it holds every offset below its end; the log is read from exactly there. If a trim
overtakes a reader, the archive has moved on as well: it is looked at again, at the same offset.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from everlog.domain.fold import replay_session
from everlog.domain.record import LogRecord, partition_of
from everlog.domain.state import State
from everlog.domain.stored import TimelineEntry
from everlog.ports.log import LogIdentity, LogReader
from everlog.replay.archive import ArchiveReader
from everlog.schemas.errors import OffsetTrimmedError

CHUNK_RECORDS: Final = 5_000
"""Records handed on at once: as many as a batch of the projector."""


class ArchiveThenLog:
    """``ports.history.History`` over the archive and the log of one era."""

    def __init__(self, identity: LogIdentity, archive: ArchiveReader, log: LogReader) -> None:
        self._identity, self._archive, self._log = identity, archive, log

    async def partition(
        self, partition: int, first: int, until: int | None = None
    ) -> AsyncIterator[Sequence[LogRecord]]:
        """The records of a partition from ``first`` to below ``until``, or to the log's end as it is now."""
        end = (await self._log.bounds(partition)).end
        end = end if until is None else min(until, end)
        position = first
        while position < end:
            before = position
            async for interval in self._archive.partition(partition, position, end):
                for at in range(0, len(interval), CHUNK_RECORDS):
                    yield interval[at : at + CHUNK_RECORDS]
                position = interval[-1].offset + 1
            try:
                async for records in self._log.read(partition, position, end):
                    yield records
                    position = records[-1].offset + 1
            except OffsetTrimmedError:
                if position == before:
                    raise

    async def state(self, key: str, *, at_version: int | None = None, until_offset: int | None = None) -> State | None:
        """The state of a session at a version, below an offset, or now."""
        state, _ = await self._replay(key, at_version, until_offset)
        return None if at_version is not None and state is not None and state.version != at_version else state

    async def entries(self, key: str, first: int, last: int) -> list[TimelineEntry]:
        """Timeline entries of versions ``first`` to ``last`` inclusive."""
        _, entries = await self._replay(key, last, None)
        return [entry for entry in entries if first <= entry.version <= last]

    async def records(self, key: str, first: int, until: int, limit: int | None = None) -> list[LogRecord]:
        """A session's records from offset ``first`` on and below ``until``, in order; all, or the first ``limit``."""
        partition = partition_of(key.encode(), self._identity.partitions)
        archived, end = await self._archive.session(partition, key, until, first=first, limit=limit)
        if limit is not None and len(archived) >= limit:
            return [*archived[:limit]]
        left = limit - len(archived) if limit is not None else None
        return [*archived, *await self._tail(partition, key, max(first, end), until, left)]

    async def _replay(
        self, key: str, at_version: int | None, until: int | None
    ) -> tuple[State | None, list[TimelineEntry]]:
        era, partition = self._identity.era, partition_of(key.encode(), self._identity.partitions)
        archived, end = await self._archive.session(partition, key, until)
        if at_version is not None:
            state, entries = replay_session(key, archived, era, partition, at_version=at_version)
            if state is not None and state.version >= at_version:
                return state, entries
        records: list[LogRecord] = [*archived, *await self._tail(partition, key, end, until)]
        return replay_session(key, records, era, partition, at_version=at_version)

    async def _tail(
        self, partition: int, key: str, first: int, until: int | None, limit: int | None = None
    ) -> list[LogRecord]:
        """The session's records that lie only on the log; all, or the first ``limit``."""
        if until is not None and until <= first:
            return []
        raw = key.encode()
        end = (await self._log.bounds(partition)).end
        found: list[LogRecord] = []
        position = first
        stop = end if until is None else min(end, until)
        while position < stop:
            before = position
            try:
                async for records in self._log.read(partition, position, stop):
                    found += [record for record in records if record.key == raw]
                    position = records[-1].offset + 1
                    if limit is not None and len(found) >= limit:
                        return found[:limit]
            except OffsetTrimmedError:
                newer, archived_end = await self._archive.session(partition, key, stop)
                found += [record for record in newer if record.offset >= position]
                position = max(position, archived_end)
                if position == before:
                    raise
        return found[:limit]
