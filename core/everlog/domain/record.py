"""A record of the log, and where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

Headers = Sequence[tuple[str, bytes | None]]

PARTITION_CACHE: Final = 65_536
"""Keys whose partition is remembered: about 10 MiB, and a session's records mostly come close together."""


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


@lru_cache(maxsize=PARTITION_CACHE)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's default partitioner gives a key.

    Source: ``org.apache.kafka.common.utils.Utils.murmur2`` and ``toPositive``: MurmurHash2 of Austin Appleby, 32 bits,
    seed 0x9747b28c.
    """
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        value = value * multiplier & mask ^ word
    if len(key) > whole:
        value = (value ^ int.from_bytes(key[whole:], "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return ((value ^ value >> 15) & 0x7FFFFFFF) % partitions
