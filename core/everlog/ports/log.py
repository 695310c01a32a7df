"""The log: what a record is, how one is appended, read and trimmed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple, Protocol

from everlog.domain.record import Headers, LogRecord, Position, Record
from everlog.schemas.events import CONTENT_TYPE

__all__ = [
    "EVENT_HEADERS",
    "Appender",
    "Bounds",
    "Headers",
    "LogIdentity",
    "LogReader",
    "LogRecord",
    "LogTrimmer",
    "Position",
    "Record",
]

EVENT_HEADERS: Final[Headers] = (("content-type", CONTENT_TYPE.encode()),)
"""The headers of every event's record; a trace's come beside them."""


class Bounds(NamedTuple):
    """What a partition holds: ``start`` is its first offset, ``end`` the next one to be written."""

    start: int
    end: int


class LogIdentity(NamedTuple):
    """Which log this is. Another one never continues its archive or projections."""

    cluster_id: str
    topic: str
    era: int
    partitions: int

    def __str__(self) -> str:
        return (
            f"era {self.era} of topic {self.topic} with {self.partitions} partitions on Kafka cluster {self.cluster_id}"
        )


class Appender(Protocol):
    """Appends records durably."""

    async def append(self, key: str, value: bytes, headers: Headers = ()) -> Position | None:
        """Append one record; returns once it is acknowledged by all in-sync replicas.

        Returns its position, or None where the broker acknowledged without telling one (a resent batch).
        Raises ``UnavailableError`` if nothing was handed over, ``UnknownOutcomeError`` if it may still land,
        ``LimitExceededError`` for a too large value.
        """


class LogReader(Protocol):
    """Reads partitions by offset, without a consumer group."""

    async def identity(self) -> LogIdentity:
        """Which log this is. Raises ``UnavailableError``."""

    async def bounds(self, partition: int) -> Bounds:
        """The first and the next offset of a partition. Raises ``UnavailableError``."""

    def read(self, partition: int, first: int, until: int) -> AsyncIterator[Sequence[LogRecord]]:
        """Chunks of the records ``[first, until)`` in offset order, without a hole.

        Raises ``OffsetTrimmedError`` when ``first`` or a later offset is no longer there, ``IntegrityError`` for a
        hole, ``LogLostError`` when the log ends before ``first``, ``UnavailableError``, also when it ends before
        ``until``.
        """


class LogTrimmer(Protocol):
    """Deletes the beginning of a partition; only the archiver's trimming may hold one."""

    async def delete_before(self, partition: int, offset: int) -> int:
        """Delete all records below ``offset``; returns the partition's new first offset."""
