"""Reading partitions by offset: no consumer group, no reset, and proof that nothing is missing.

A read has a consumer of its own. Measured on one machine: starting and stopping one takes 4 ms, while a reused one has
to wait for the broker's long poll at the end of its last partition, 100 ms. Asking for bounds keeps one connection.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from everlog.adapters.kafka.connection import DEPENDENCY, admin_client, client_arguments, translated
from everlog.adapters.kafka.topic import describe_topic
from everlog.ports.log import Bounds, LogIdentity, LogRecord
from everlog.runtime.config import KafkaSettings
from everlog.runtime.lifecycle import Closing
from everlog.schemas.errors import (
    ConfigurationError,
    IntegrityError,
    LogLostError,
    OffsetTrimmedError,
    UnavailableError,
)

CHUNK_RECORDS: Final = 5_000
"""Largest chunk: bounds what a slow caller holds, and is more than one fetch of usual events brings."""
FETCH_BYTES: Final = 1024 * 1024
"""One fetch of a partition: a caller that wants few records pays for no more. The log's largest batch fits."""
LONG_POLL_MS: Final = 100
"""How long a broker holds a fetch that finds nothing."""
POLL_S: Final = 1.0
"""A read that got nothing for so long asks where the partition ends."""
STALL_TIMEOUT_S: Final = 10.0
"""A read that got nothing for so long gives up: the partition's leader is away."""


class KafkaReader(Closing):
    """A ``LogReader`` of the topic that the settings name. Close it, or use it as an async context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._asking: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()
        self._identity: LogIdentity | None = None

    async def close(self) -> None:
        """Close the connection that asks for bounds; reads that still run close their own."""
        asking, self._asking = self._asking, None
        if asking is not None:
            await asking.stop()

    async def identity(self) -> LogIdentity:
        """Which log this is, asked once: a cluster's identity and a topic's partition count do not change.

        Raises ``UnavailableError``, and ``ConfigurationError`` when there is no such topic.
        """
        if self._identity is None:
            async with admin_client(self._settings) as admin:
                facts = await describe_topic(admin, self._settings)
            self._identity = LogIdentity(facts.cluster_id, self._settings.topic, self._settings.era, facts.partitions)
        return self._identity

    async def bounds(self, partition: int) -> Bounds:
        """The first and the next offset of a partition. Raises ``UnavailableError``, ``ConfigurationError``."""
        place = await self._place(partition)
        with translated(self._settings, f"asking for the bounds of partition {partition}"):
            asking = await self._asker()
            starts, ends = await asyncio.gather(asking.beginning_offsets([place]), asking.end_offsets([place]))
        return Bounds(starts[place], ends[place])

    async def read(self, partition: int, first: int, until: int) -> AsyncIterator[Sequence[LogRecord]]:
        """Chunks of the records ``[first, until)`` in offset order, without a hole.

        Waits up to ``POLL_S`` for records that are not there yet. Raises ``OffsetTrimmedError`` when ``first`` or a
        later offset is no longer there, ``IntegrityError`` for a hole, ``LogLostError`` when the log ends before
        ``first``, ``UnavailableError`` when it ends before ``until`` or does not answer.
        """
        if first >= until:
            return
        place = await self._place(partition)
        async with self._consumer() as consumer:
            consumer.assign([place])
            consumer.seek(place, first)
            while first < until:
                chunk = await self._next_chunk(consumer, place, first, until)
                check_dense(partition, first, chunk)
                first += len(chunk)
                yield chunk

    async def _next_chunk(
        self, consumer: AIOKafkaConsumer, place: TopicPartition, first: int, until: int
    ) -> list[LogRecord]:
        limit = min(until - first, CHUNK_RECORDS)
        for _ in range(math.ceil(STALL_TIMEOUT_S / POLL_S)):
            try:
                with translated(self._settings, f"reading partition {place.partition} from offset {first}"):
                    fetched = await consumer.getmany(place, timeout_ms=int(POLL_S * 1000), max_records=limit)
            except UnavailableError as error:
                if isinstance(error.__cause__, OffsetOutOfRangeError):
                    await self._explain(place.partition, first, until)
                raise
            records: list[LogRecord] = fetched.get(place, [])
            if records:
                return records
            with translated(self._settings, f"reading partition {place.partition} from offset {first}"):
                passed = await consumer.position(place)
            if passed > first:  # the driver passed over what gives no records, and nothing came after it
                raise hole(place.partition, first, passed)
            await self._explain(place.partition, first, until)
        raise UnavailableError(
            DEPENDENCY, f"partition {place.partition} gave nothing from offset {first} for {STALL_TIMEOUT_S:.0f} s"
        )

    async def _explain(self, partition: int, first: int, until: int) -> None:
        """Raise what the bounds say about a read that got nothing; return where they hold no reason."""
        start, end = await self.bounds(partition)
        if first < start:
            raise OffsetTrimmedError(partition, first, start)
        if first > end:
            raise LogLostError(
                f"partition {partition} of {self._settings.topic_name} ends at offset {end}, {first} was expected",
                hint="Acknowledged events are gone: find out why, then: everlog archive adopt --new-era",
            )
        if until > end:
            raise UnavailableError(DEPENDENCY, f"partition {partition} ends at offset {end}, not yet at {until}")

    async def _place(self, partition: int) -> TopicPartition:
        """The partition, proved to exist: asking the driver for one that does not could create its topic."""
        partitions = (await self.identity()).partitions
        if not 0 <= partition < partitions:
            raise ConfigurationError(f"there is no partition {partition}: {self._settings.topic_name} has {partitions}")
        return TopicPartition(self._settings.topic_name, partition)

    async def _asker(self) -> AIOKafkaConsumer:
        async with self._starting:
            if self._asking is None:
                self._asking = await self._started()
        return self._asking

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        with translated(self._settings, "connecting"):
            consumer = await self._started()
        try:
            yield consumer
        finally:
            await consumer.stop()

    async def _started(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(**self._arguments())
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        return consumer

    def _arguments(self) -> dict[str, Any]:
        return client_arguments(self._settings) | {
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "isolation_level": "read_committed",
            "fetch_max_wait_ms": LONG_POLL_MS,
            "max_partition_fetch_bytes": FETCH_BYTES,
        }


def check_dense(partition: int, first: int, records: Sequence[LogRecord]) -> None:
    """Prove that records begin at ``first`` and that no offset is missing. Raises ``IntegrityError``."""
    for expected, record in enumerate(records, first):
        if record.offset != expected:
            raise hole(partition, expected, record.offset)


def hole(partition: int, expected: int, found: int) -> IntegrityError:
    """The error about offsets that give no record."""
    return IntegrityError(
        f"partition {partition} has a hole: offset {found} follows where {expected} belongs",
        hint="Look for transactional producers or compaction on the topic: neither is allowed",
    )
