"""The log in memory: the reference of the contract suite."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence

from everlog.domain.record import Headers, Position, Record, partition_of
from everlog.ports.log import Bounds, LogIdentity, LogRecord
from everlog.schemas.errors import (
    ConfigurationError,
    LimitExceededError,
    LogLostError,
    OffsetTrimmedError,
    UnavailableError,
)
from everlog.schemas.limits import VALUE_BYTES

CHUNK_RECORDS = 1_000
"""Records of one chunk: fewer than most tests append, so that reads come in several."""


def wall_clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class MemoryLog:
    """An ``Appender``, ``LogReader`` and ``LogTrimmer`` of one process. Calls never wait, so each is atomic.

    ``clock`` gives the append time of a record, milliseconds since 1970.
    """

    def __init__(
        self,
        partitions: int = 4,
        *,
        topic: str = "everlog.events",
        era: int = 0,
        cluster_id: str = "memory",
        clock: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._identity = LogIdentity(cluster_id, topic, era, partitions)
        self._records: list[list[Record]] = [[] for _ in range(partitions)]
        self._starts = [0] * partitions
        self._clock = clock

    async def append(self, key: str, value: bytes, headers: Headers = ()) -> Position:
        """Append one record; its position."""
        if len(value) > VALUE_BYTES:
            raise LimitExceededError("an event in bytes", maximum=VALUE_BYTES, actual=len(value))
        raw_key = key.encode()
        partition = partition_of(raw_key, self._identity.partitions)
        offset = self._bounds(partition).end
        self._records[partition].append(Record(partition, offset, self._clock(), raw_key, value, tuple(headers)))
        return Position(self._identity.era, partition, offset)

    async def identity(self) -> LogIdentity:
        """Which log this is."""
        return self._identity

    async def bounds(self, partition: int) -> Bounds:
        """The first and the next offset of a partition."""
        return self._bounds(partition)

    async def read(self, partition: int, first: int, until: int) -> AsyncIterator[Sequence[LogRecord]]:
        """Chunks of the records ``[first, until)`` in offset order, without a hole."""
        while first < until:
            start, end = self._bounds(partition)
            if first < start:
                raise OffsetTrimmedError(partition, first, start)
            if first > end:
                raise LogLostError(f"partition {partition} ends at offset {end}, {first} was expected")
            if first == end:
                raise UnavailableError("the log", f"partition {partition} ends at offset {end}, not yet at {until}")
            chunk = self._records[partition][first - start : min(until - start, first - start + CHUNK_RECORDS)]
            first += len(chunk)
            yield chunk

    async def delete_before(self, partition: int, offset: int) -> int:
        """Delete all records below ``offset``; returns the partition's new first offset."""
        start, end = self._bounds(partition)
        if offset > end:
            raise UnavailableError("the log", f"partition {partition} ends at offset {end}, before {offset}")
        if offset > start:
            del self._records[partition][: offset - start]
            self._starts[partition] = offset
        return self._starts[partition]

    def _bounds(self, partition: int) -> Bounds:
        if not 0 <= partition < self._identity.partitions:
            raise ConfigurationError(f"there is no partition {partition}: the log has {self._identity.partitions}")
        start = self._starts[partition]
        return Bounds(start, start + len(self._records[partition]))
