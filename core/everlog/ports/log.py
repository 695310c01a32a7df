"""The log: what a record is, how one is appended, read and trimmed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

Headers = Sequence[tuple[str, bytes]]


class LogRecord(Protocol):
    """A record as it lies on the log.

    ``aiokafka.ConsumerRecord`` has this shape already, so the hot path wraps nothing; ``Record`` is the same
    for records that come from elsewhere (archive, tests).
    """

    @property
    def partition(self) -> int:
        """The partition, from 0."""

    @property
    def offset(self) -> int:
        """The offset within its partition, from 0, dense."""

    @property
    def timestamp(self) -> int:
        """The broker's append time, milliseconds since 1970."""

    @property
    def key(self) -> bytes | None:
        """The raw key, ``tenant/session``."""

    @property
    def value(self) -> bytes | None:
        """The raw value, one JSON document."""

    @property
    def headers(self) -> Headers:
        """The raw headers in their order."""


class Record(NamedTuple):
    """A ``LogRecord`` of our own making."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Position(NamedTuple):
    """Where a record lies: era of the topic, partition, offset. Ordered within one partition."""

    era: int
    partition: int
    offset: int


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


class Appender(Protocol):
    """Appends records durably."""

    async def append(self, key: str, value: bytes, headers: Headers = ()) -> Position | None:
        """Append one record; returns once it is acknowledged by all in-sync replicas.

        Returns its position, or None where the broker acknowledged without telling one (a resent batch).
        Raises ``UnavailableError`` if nothing was handed over, ``LimitExceededError`` for a too large value.
        """


class LogReader(Protocol):
    """Reads partitions by offset, without a consumer group."""

    async def identity(self) -> LogIdentity:
        """Which log this is. Raises ``UnavailableError``."""

    async def bounds(self, partition: int) -> Bounds:
        """The first and the next offset of a partition. Raises ``UnavailableError``."""

    def read(self, partition: int, first: int, until: int) -> AsyncIterator[Sequence[LogRecord]]:
        """Chunks of the records ``[first, until)`` in offset order, without a hole.

        Raises ``OffsetTrimmedError`` when ``first`` or a later offset is no longer there, ``UnavailableError``.
        """


class LogTrimmer(Protocol):
    """Deletes the beginning of a partition; only the archiver's trimming may hold one."""

    async def delete_before(self, partition: int, offset: int) -> int:
        """Delete all records below ``offset``; returns the partition's new first offset."""
