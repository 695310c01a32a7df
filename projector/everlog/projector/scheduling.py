"""Many records as one message: how a chunk of a partition travels through Faust.

Faust spends about 120 us per message, most of it on four asyncio tasks. So the scheduler, which Faust asks for the
order of what it fetched, hands out one message per partition and chunk; its value is the list of records. Measured:
6,600 events a second record by record, 228,000 this way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import faust
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP, AppT, CodecArg, K, Message, V

from everlog.ports.log import LogRecord

CHUNK_RECORDS = 3_000
"""Records a chunk holds at most. Below 2,000 the cost per message shows; above 5,000 partitions wait for each other."""


CHUNK_BYTES = 4 * 1024 * 1024
"""Their values, bytes at most: thousands of usual events, sixteen of the largest. Bounds what is under way: a fetch is
bounded compressed, and what compresses well is much larger than what was fetched."""


class FetchedRecord(LogRecord, Protocol):
    """A record as aiokafka returns it: Faust reads a few fields more than we do."""

    @property
    def topic(self) -> str:
        """The topic's name."""

    @property
    def timestamp_type(self) -> int | None:
        """0 for the producer's time, 1 for the broker's."""


class Chunk:
    """Records of one partition in the form of one record.

    It carries the fields that ``faust.transport.drivers.aiokafka.Consumer._to_message`` reads. Offset and time
    are those of the last record.
    """

    __slots__ = (
        "checksum",
        "headers",
        "key",
        "offset",
        "partition",
        "serialized_key_size",
        "serialized_value_size",
        "timestamp",
        "timestamp_type",
        "topic",
        "value",
    )

    def __init__(self, records: Sequence[FetchedRecord]) -> None:
        last = records[-1]
        self.topic, self.partition, self.offset = last.topic, last.partition, last.offset
        self.timestamp, self.timestamp_type = last.timestamp, last.timestamp_type
        self.headers, self.key, self.checksum = (), None, None
        self.value = records
        self.serialized_key_size = self.serialized_value_size = 0


def value_bytes(record: LogRecord) -> int:
    """What a record's value takes in memory, about all that it takes."""
    return len(record.value or b"")


def chunks(
    records: Sequence[FetchedRecord], records_max: int = CHUNK_RECORDS, bytes_max: int = CHUNK_BYTES
) -> Iterator[Chunk]:
    """Cut the records of one partition into chunks within both bounds, each of at least one record, in their order."""
    first = size = 0
    for at, record in enumerate(records):
        length = value_bytes(record)
        if at > first and (at - first == records_max or size + length > bytes_max):
            yield Chunk(records[first:at])
            first, size = at, 0
        size += length
    if first < len(records):
        yield Chunk(records[first:])


class ChunkScheduler(DefaultSchedulingStrategy):
    """Hands out a chunk of every partition in turn; given to Faust as its setting ``ConsumerScheduler``."""

    def __init__(self) -> None:
        """Faust makes one per consumer."""

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        """Yield (partition, chunk) round-robin; within a partition in offset order."""
        waiting = {partition: chunks(fetched) for partition, fetched in records.items()}
        while waiting:
            for partition in list(waiting):
                chunk = next(waiting[partition], None)
                if chunk is None:
                    del waiting[partition]
                else:
                    yield partition, chunk


class ChunkSchema(faust.Schema[Any, Any]):
    """Passes a chunk's list of records through undecoded: decoding is the sink's work."""

    def loads_key(self, app: AppT, message: Message, *, loads: Any = None, serializer: CodecArg = None) -> K:
        """No key: a chunk holds records of many sessions."""
        return None

    def loads_value(self, app: AppT, message: Message, *, loads: Any = None, serializer: CodecArg = None) -> V:
        """The records as they were fetched."""
        return message.value
