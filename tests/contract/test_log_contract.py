"""What every log must do: the one in memory, and Kafka by ``Producer``, ``KafkaReader`` and ``KafkaTrimmer``."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from aiokafka import AIOKafkaProducer

from everlog.adapters.kafka import KafkaReader, KafkaTrimmer, check_topic, ensure_topic
from everlog.adapters.kafka.connection import client_arguments
from everlog.adapters.memory.log import MemoryLog
from everlog.domain.record import Position, partition_of
from everlog.local.stack import Addresses
from everlog.ports.log import Appender, Bounds, LogReader, LogRecord, LogTrimmer
from everlog.producers import Producer
from everlog.runtime.config import KafkaSettings
from everlog.schemas.errors import (
    ConfigurationError,
    IntegrityError,
    LimitExceededError,
    LogLostError,
    OffsetTrimmedError,
    UnavailableError,
)
from everlog.schemas.limits import VALUE_BYTES

KEY = "acme/rome-42"
PARTITIONS = 3
HOME = partition_of(KEY.encode(), PARTITIONS)


class Log(NamedTuple):
    """The three sides of one log of ``PARTITIONS`` partitions, era 5."""

    appender: Appender
    reader: LogReader
    trimmer: LogTrimmer


async def read(log: Log, first: int, until: int, partition: int = HOME) -> list[LogRecord]:
    return [record async for chunk in log.reader.read(partition, first, until) for record in chunk]


async def append(log: Log, count: int, key: str = KEY) -> None:
    for number in range(count):
        assert await log.appender.append(key, b"%d" % number) is not None


class LogContract:
    """Subclasses give the fixture ``log``, empty."""

    async def test_a_log_knows_which_it_is(self, log: Log) -> None:
        identity = await log.reader.identity()
        assert identity.cluster_id and (identity.era, identity.partitions) == (5, PARTITIONS)
        assert not identity.topic.endswith(".5")

    async def test_an_empty_partition_starts_where_it_ends(self, log: Log) -> None:
        assert await log.reader.bounds(HOME) == Bounds(0, 0)
        assert await read(log, 0, 0) == []

    async def test_a_record_is_read_back_as_it_was(self, log: Log) -> None:
        before = time.time_ns() // 1_000_000
        value, headers = (
            bytes(range(256)),
            (("content-type", b"a/b"), ("twice", b""), ("twice", b"\xff"), ("null", None)),
        )
        assert await log.appender.append(KEY, value, headers) == Position(5, HOME, 0)
        (record,) = await read(log, 0, 1)
        assert (record.partition, record.offset) == (HOME, 0)
        assert (record.key, record.value, tuple(record.headers)) == (KEY.encode(), value, headers)
        assert before - 60_000 <= record.timestamp <= time.time_ns() // 1_000_000 + 60_000

    async def test_offsets_of_a_partition_are_dense(self, log: Log) -> None:
        positions = [await log.appender.append(KEY, b"x") for _ in range(5)]
        assert positions == [Position(5, HOME, offset) for offset in range(5)]
        assert await log.reader.bounds(HOME) == Bounds(0, 5)

    async def test_every_key_lies_in_its_partition(self, log: Log) -> None:
        for number in range(20):
            key = f"acme/s{number}"
            position = await log.appender.append(key, b"x")
            assert position is not None and position.partition == partition_of(key.encode(), PARTITIONS)

    async def test_a_read_gives_exactly_its_range(self, log: Log) -> None:
        await append(log, 10)
        records = await read(log, 3, 7)
        assert [(record.offset, record.value) for record in records] == [(n, b"%d" % n) for n in range(3, 7)]

    async def test_a_value_of_the_largest_size_passes_and_a_larger_one_does_not(self, log: Log) -> None:
        with pytest.raises(LimitExceededError):
            await log.appender.append(KEY, b"x" * (VALUE_BYTES + 1))
        await log.appender.append(KEY, b"x" * VALUE_BYTES)
        assert len((await read(log, 0, 1))[0].value or b"") == VALUE_BYTES

    async def test_a_trimmed_offset_is_told_from_one_that_never_was(self, log: Log) -> None:
        await append(log, 6)
        assert await log.trimmer.delete_before(HOME, 4) == 4
        assert await log.reader.bounds(HOME) == Bounds(4, 6)
        assert [record.offset for record in await read(log, 4, 6)] == [4, 5]
        with pytest.raises(OffsetTrimmedError) as trimmed:
            await read(log, 3, 6)
        assert (trimmed.value.partition, trimmed.value.offset, trimmed.value.start) == (HOME, 3, 4)
        with pytest.raises(LogLostError):
            await read(log, 7, 8)

    async def test_trimming_twice_or_less_is_no_error(self, log: Log) -> None:
        await append(log, 4)
        await log.trimmer.delete_before(HOME, 3)
        assert await log.trimmer.delete_before(HOME, 3) == 3
        assert await log.trimmer.delete_before(HOME, 1) == 3
        assert await log.trimmer.delete_before(HOME, 4) == 4
        assert await log.reader.bounds(HOME) == Bounds(4, 4)

    async def test_nothing_is_trimmed_that_is_not_there(self, log: Log) -> None:
        await append(log, 2)
        with pytest.raises(UnavailableError):
            await log.trimmer.delete_before(HOME, 3)
        assert await log.reader.bounds(HOME) == Bounds(0, 2)

    async def test_a_read_past_the_end_gives_what_there_is_and_says_so(self, log: Log) -> None:
        await append(log, 2)
        seen: list[int] = []
        with pytest.raises(UnavailableError, match="ends at offset 2"):
            async for chunk in log.reader.read(HOME, 0, 3):
                seen += [record.offset for record in chunk]
        assert seen == [0, 1]

    async def test_a_partition_that_does_not_exist_is_a_mistake(self, log: Log) -> None:
        with pytest.raises(ConfigurationError, match="no partition 3"):
            await log.reader.bounds(PARTITIONS)


class TestMemory(LogContract):
    @pytest.fixture
    def log(self) -> Log:
        log = MemoryLog(PARTITIONS, era=5)
        return Log(log, log, log)


@pytest.mark.integration
class TestKafka(LogContract):
    @pytest.fixture
    async def settings(self, services: Addresses) -> KafkaSettings:
        """Settings of a new topic."""
        topic = f"contract-{uuid.uuid4()}"
        settings = KafkaSettings(brokers=services.kafka, topic=topic, era=5, partitions=PARTITIONS, replication=1)
        assert await ensure_topic(settings)
        return settings

    @pytest.fixture
    async def log(self, settings: KafkaSettings) -> AsyncIterator[Log]:
        async with Producer(settings) as producer, KafkaReader(settings) as reader:
            yield Log(producer, reader, KafkaTrimmer(settings))

    async def test_the_topic_that_we_make_passes_our_check(self, settings: KafkaSettings) -> None:
        assert not await ensure_topic(settings)
        assert (await check_topic(settings)).partitions == PARTITIONS

    async def test_marks_of_a_transaction_are_a_hole(self, log: Log, settings: KafkaSettings) -> None:
        await append(log, 1)
        foreign = AIOKafkaProducer(**client_arguments(settings), transactional_id=settings.topic)
        async with foreign, foreign.transaction():
            await foreign.send(settings.topic_name, b"x", partition=HOME)
        async with asyncio.timeout(10):
            while (await log.reader.bounds(HOME)).end < 3:  # the mark comes after the transaction's end
                pass
        with pytest.raises(IntegrityError, match="offset 3 follows where 2 belongs"):
            await read(log, 0, 3)
        await append(log, 1)
        with pytest.raises(IntegrityError, match="offset 3 follows where 2 belongs"):
            await read(log, 0, 4)

    async def test_no_client_of_ours_makes_a_topic(self, services: Addresses) -> None:
        missing = KafkaSettings(brokers=services.kafka, topic="contract-missing", partitions=PARTITIONS)
        with pytest.raises(ConfigurationError, match="everlog init"):
            await check_topic(missing)
        with pytest.raises(ConfigurationError, match="everlog init"):
            await Producer(missing).start()
        async with KafkaReader(missing) as reader:
            with pytest.raises(ConfigurationError, match="everlog init"):
                await reader.bounds(0)

    async def test_a_topic_that_is_wrong_in_many_ways_is_refused_with_all_of_them(
        self, settings: KafkaSettings
    ) -> None:
        wrong = settings.model_copy(update={"partitions": 8, "replication": 3})
        with pytest.raises(ConfigurationError, match=r"3 partitions, the settings say 8; .*1 replicas"):
            await check_topic(wrong)
