"""The projector's worker against a real Kafka: order, coverage, failure, shutdown, membership."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from faust.types import TP

from everlog.ports.log import LogRecord
from everlog.projector.ports import ResumeError
from everlog.projector.transport import Consumer
from everlog.projector.worker import ProjectorWorker
from everlog.schemas.errors import IntegrityError
from support.waiting import until

pytestmark = pytest.mark.integration

PARTITIONS = 4
DEADLINE_S = 40.0
TOPIC_SETTINGS = {"cleanup.policy": "delete", "retention.ms": "-1", "message.timestamp.type": "LogAppendTime"}


class Log:
    """A topic of its own for one test."""

    def __init__(self, brokers: str) -> None:
        self.brokers, self.topic = brokers, f"events-{uuid.uuid4().hex[:12]}"
        self.ends = [0] * PARTITIONS

    async def create(self) -> None:
        async with Admin(self.brokers) as client:
            await client.create_topics([NewTopic(self.topic, PARTITIONS, 1, topic_configs=TOPIC_SETTINGS)])

    async def produce(self, per_partition: int) -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=self.brokers, enable_idempotence=True, linger_ms=5, compression_type="zstd"
        ) as producer:
            for partition in range(PARTITIONS):
                for number in range(self.ends[partition], self.ends[partition] + per_partition):
                    await producer.send(self.topic, b"%d" % number, partition=partition)
                self.ends[partition] += per_partition
            await producer.flush()

    async def trim(self, partition: int, offset: int) -> None:
        async with Admin(self.brokers) as client:
            await client.delete_records({TopicPartition(self.topic, partition): RecordsToDelete(offset)})

    def worker(self, sink: Any) -> ProjectorWorker:
        return ProjectorWorker(
            brokers=self.brokers, topic=self.topic, group=f"g-{self.topic}", sink=sink, session_timeout_s=6
        )


class Admin:
    """An admin client that closes itself."""

    def __init__(self, brokers: str) -> None:
        self._client = AIOKafkaAdminClient(bootstrap_servers=brokers)

    async def __aenter__(self) -> Any:
        await self._client.start()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()


class Applied(NamedTuple):
    """What a store remembers of a batch."""

    partition: int
    first: int
    following: int


class Store:
    """Watermarks that move by compare-and-set, shared by the workers of a test, and every batch that was applied."""

    def __init__(self, starts: Mapping[int, int] | None = None) -> None:
        self.starts = defaultdict(int, starts or {})
        self.watermarks = defaultdict(int, starts or {})
        self.batches: list[Applied] = []
        self.values: dict[int, list[bytes]] = defaultdict(list)

    def reached(self, ends: Sequence[int]) -> Callable[[], bool]:
        return lambda: [self.watermarks[partition] for partition in range(len(ends))] == list(ends)

    def assert_covers(self, ends: Sequence[int]) -> None:
        for partition, end in enumerate(ends):
            wanted = [b"%d" % number for number in range(self.starts[partition], end)]
            assert self.values[partition] == wanted


class RecordingSink:
    """Keeps what is applied; ``on_assigned`` and ``on_apply`` let a test interfere before."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.owned: set[int] = set()
        self.assignments: list[list[int]] = []
        self.on_assigned: Callable[[Sequence[int]], Awaitable[None]] | None = None
        self.on_apply: Callable[[int, Sequence[LogRecord]], Awaitable[None]] | None = None
        self.left_at: dict[int, int] = {}

    async def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        self.assignments.append(list(partitions))
        if self.on_assigned is not None:
            await self.on_assigned(partitions)
        self.owned.update(partitions)
        self.left_at |= {partition: self.store.watermarks[partition] for partition in partitions}
        return {partition: self.store.watermarks[partition] for partition in partitions}

    async def revoked(self, partitions: Sequence[int]) -> None:
        self.owned.difference_update(partitions)

    async def verify(self, partition: int) -> None:
        assert partition in self.owned
        if self.store.watermarks[partition] != self.left_at[partition]:
            raise ResumeError("the store was put back")

    async def apply(self, partition: int, records: Sequence[LogRecord]) -> None:
        assert partition in self.owned
        if self.on_apply is not None:
            await self.on_apply(partition, records)
        await asyncio.sleep(0)
        first, following = records[0].offset, records[-1].offset + 1
        if self.store.watermarks[partition] != first:
            raise ResumeError("moved base")
        self.store.watermarks[partition] = self.left_at[partition] = following
        self.store.batches.append(Applied(partition, first, following))
        self.store.values[partition] += [record.value or b"" for record in records]


class Running:
    """A worker at work; leaving the context stops it and raises what it failed with."""

    def __init__(self, log: Log, sink: RecordingSink) -> None:
        self.worker, self.sink = log.worker(sink), sink

    async def __aenter__(self) -> Running:
        self.task = asyncio.create_task(self.worker.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.worker.stop()
        await self.task

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(lambda: condition() or self.task.done(), timeout_s=DEADLINE_S)
        if self.task.done():
            await self.task


@pytest.fixture
async def log(services: Any) -> AsyncIterator[Log]:
    log = Log(services.kafka)
    await log.create()
    yield log
    async with Admin(log.brokers) as client:
        await client.delete_topics([log.topic])


async def test_records_arrive_in_order_without_hole_or_double(log: Log) -> None:
    await log.produce(25_000)
    store = Store()
    async with Running(log, RecordingSink(store)) as running:
        await running.until(store.reached(log.ends))
    store.assert_covers(log.ends)


async def test_a_group_that_never_committed_starts_at_the_watermarks(log: Log) -> None:
    await log.produce(100)
    store = Store({0: 0, 1: 40, 2: 99, 3: 100})
    async with Running(log, RecordingSink(store)) as running:
        await running.until(store.reached(log.ends))
        await log.produce(10)
        await running.until(store.reached(log.ends))
    store.assert_covers(log.ends)


async def test_the_groups_own_offsets_decide_nothing(log: Log) -> None:
    await log.produce(100)
    store = Store()
    async with Running(log, RecordingSink(store)) as running:
        await running.until(store.reached(log.ends))
    async with Admin(log.brokers) as client:
        committed = await client.list_consumer_group_offsets(f"g-{log.topic}")
    assert [committed[TopicPartition(log.topic, partition)].offset for partition in range(PARTITIONS)] == log.ends
    restored = Store(dict.fromkeys(range(PARTITIONS), 30))
    async with Running(log, RecordingSink(restored)) as running:
        await running.until(restored.reached(log.ends))
    restored.assert_covers(log.ends)


async def test_a_resume_asks_again_and_loses_nothing(log: Log) -> None:
    await log.produce(20_000)
    store = Store()
    sink = RecordingSink(store)
    refusals = [3, 2, 1]

    async def refuse(partition: int, records: Sequence[LogRecord]) -> None:
        if partition == 2 and records[0].offset >= 3_000 and refusals:
            refusals.pop()
            raise ResumeError("moved base")

    sink.on_apply = refuse
    async with Running(log, sink) as running:
        await running.until(store.reached(log.ends))
    store.assert_covers(log.ends)
    assert sink.assignments == [[0, 1, 2, 3], [2], [2], [2]]


async def test_a_resume_may_go_back_behind_what_was_applied(log: Log) -> None:
    await log.produce(20_000)
    store = Store()
    sink = RecordingSink(store)
    losses = [1]

    async def lose(partition: int, records: Sequence[LogRecord]) -> None:
        if partition == 1 and records[0].offset >= 6_000 and losses:
            losses.pop()
            store.watermarks[1] = 1_000
            del store.values[1][1_000:]
            raise ResumeError("the store lost acknowledged writes")

    sink.on_apply = lose
    async with Running(log, sink) as running:
        await running.until(store.reached(log.ends))
    store.assert_covers(log.ends)


async def test_partitions_that_are_taken_away_while_they_resume_go_on_elsewhere(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.produce(5_000)
    store = Store()
    first, second = RecordingSink(store), RecordingSink(store)
    refused, taken_away = set[int](), set[TP]()
    seek_wait = Consumer.seek_wait

    async def refuse(partition: int, records: Sequence[LogRecord]) -> None:
        if partition not in refused:
            refused.add(partition)
            raise ResumeError("moved base")

    async def seek_late(consumer: Consumer, offsets: Mapping[TP, int]) -> None:
        """A resume, which seeks a single partition, is outpaced by the group."""
        if len(offsets) == 1:
            await until(lambda: len(consumer.assignment()) < PARTITIONS, timeout_s=DEADLINE_S)
            taken_away.update(set(offsets) - consumer.assignment())
        await seek_wait(consumer, offsets)

    monkeypatch.setattr(Consumer, "seek_wait", seek_late)
    first.on_apply = refuse
    async with Running(log, first) as one:
        await one.until(lambda: len(refused) == PARTITIONS)
        async with Running(log, second):
            await one.until(store.reached(log.ends))
            await log.produce(1_000)
            await one.until(store.reached(log.ends))
    assert taken_away
    store.assert_covers(log.ends)


async def test_a_store_that_was_put_back_is_noticed_without_a_new_record(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("everlog.projector.worker.VERIFY_S", 0.2)
    store = Store()
    await log.produce(100)
    async with Running(log, RecordingSink(store)) as running:
        await running.until(store.reached(log.ends))
        store.watermarks[1] = 40
        del store.values[1][40:]
        await running.until(store.reached(log.ends))
    store.assert_covers(log.ends)


async def test_a_resume_that_never_helps_ends_the_worker(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everlog.projector.worker.RESUME_PAUSE_MAX_S", 0.01)
    await log.produce(10)
    sink = RecordingSink(Store())

    async def refuse(partition: int, records: Sequence[LogRecord]) -> None:
        raise ResumeError("moved base for ever")

    sink.on_apply = refuse
    with pytest.raises(ResumeError, match="for ever"):
        async with Running(log, sink) as running:
            await running.until(lambda: False)
    assert not sink.store.batches


async def test_a_failing_sink_ends_the_worker_and_nothing_is_applied_after(log: Log) -> None:
    await log.produce(20_000)
    store = Store()
    sink = RecordingSink(store)
    applied_at_failure: list[int] = []

    async def fail(partition: int, records: Sequence[LogRecord]) -> None:
        assert not applied_at_failure
        if len(store.batches) >= 5:
            applied_at_failure.append(len(store.batches))
            raise ValueError("a bug in the fold")

    sink.on_apply = fail
    with pytest.raises(ValueError, match="a bug in the fold"):
        async with Running(log, sink) as running:
            await running.until(lambda: False)
    assert len(applied_at_failure) == 1
    assert not sink.owned


async def test_workers_join_and_leave_and_every_record_is_covered(log: Log) -> None:
    store = Store()
    first, second = RecordingSink(store), RecordingSink(store)
    await log.produce(5_000)
    async with Running(log, first) as one:
        await one.until(lambda: len(store.batches) >= 2)
        async with Running(log, second) as two:
            await two.until(lambda: len(second.owned) == 2 and len(first.owned) == 2)
            await log.produce(5_000)
            await one.until(store.reached(log.ends))
            assert first.owned.isdisjoint(second.owned)
            await log.produce(5_000)
        assert not second.owned
        await one.until(lambda: len(first.owned) == PARTITIONS)
        await log.produce(1_000)
        await one.until(store.reached(log.ends))
    store.assert_covers(log.ends)


async def test_a_wait_longer_than_the_session_keeps_the_membership(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everlog.projector.app.POLL_INTERVAL_S", 4.0)
    monkeypatch.setattr("everlog.projector.worker.KEEP_POLLING_S", 1.0)
    await log.produce(100)
    store = Store()
    sink = RecordingSink(store)

    async def rebuild(partitions: Sequence[int]) -> None:
        await asyncio.sleep(9)  # longer than the session (6 s) and the poll interval (4 s)

    sink.on_assigned = rebuild
    async with Running(log, sink) as running:
        await running.until(store.reached(log.ends))
    store.assert_covers(log.ends)
    assert sink.assignments == [[0, 1, 2, 3]]


async def test_a_long_wait_ends_when_partitions_are_taken_away(log: Log) -> None:
    await log.produce(100)
    store = Store()
    stuck, quick = RecordingSink(store), RecordingSink(store)
    cancelled = asyncio.Event()

    async def rebuild(partitions: Sequence[int]) -> None:
        if len(partitions) == PARTITIONS:
            try:
                await asyncio.sleep(DEADLINE_S)
            finally:
                cancelled.set()

    stuck.on_assigned = rebuild
    async with Running(log, stuck) as one:
        await one.until(lambda: bool(stuck.assignments))
        async with Running(log, quick) as two:
            await two.until(store.reached(log.ends))
            assert cancelled.is_set()
            stuck.on_assigned = None
    store.assert_covers(log.ends)


async def test_an_offset_out_of_range_is_an_error(log: Log) -> None:
    await log.produce(100)
    await log.trim(1, 50)
    sink = RecordingSink(Store({1: 10}))
    with pytest.raises(IntegrityError, match="does not hold the offset"):
        async with Running(log, sink) as running:
            await running.until(lambda: False)
    assert not [batch for batch in sink.store.batches if batch.partition == 1]


async def test_a_batch_that_does_not_end_is_cancelled_by_a_stop(log: Log) -> None:
    await log.produce(10)
    sink = RecordingSink(Store())
    begun = asyncio.Event()

    async def hang(partition: int, records: Sequence[LogRecord]) -> None:
        begun.set()
        await asyncio.Event().wait()

    sink.on_apply = hang
    async with Running(log, sink) as running:
        await running.until(begun.is_set)
        since = time.monotonic()
    assert time.monotonic() - since < 4
    assert not sink.store.batches


class Journal:
    """The journal of workers in processes of their own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def batches(self) -> list[Applied]:
        if not self.path.exists():
            return []
        return [Applied(*map(int, line.split())) for line in self.path.read_text().splitlines()]

    def watermarks(self) -> dict[int, int]:
        return {batch.partition: batch.following for batch in self.batches()}

    def assert_without_hole_or_double(self) -> None:
        position: dict[int, int] = defaultdict(int)
        for batch in self.batches():
            assert batch.first == position[batch.partition]
            position[batch.partition] = batch.following


def files_in(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def start_process(log: Log, journal: Journal) -> asyncio.subprocess.Process:
    script = Path(__file__).with_name("faust_worker_process.py")
    return await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", str(script), log.brokers, log.topic, f"g-{log.topic}", str(journal.path),
        cwd=journal.path.parent,
    )  # fmt: skip


async def test_a_killed_worker_loses_nothing(log: Log, tmp_path: Path) -> None:
    await log.produce(50_000)
    journal = Journal(tmp_path / "journal")
    for batches in (5, 15):
        process = await start_process(log, journal)
        await until(lambda batches=batches: len(journal.batches()) >= batches, timeout_s=DEADLINE_S)  # type: ignore[misc]
        os.kill(process.pid, signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
        assert journal.watermarks() != dict(enumerate(log.ends))
    process = await start_process(log, journal)
    await until(lambda: journal.watermarks() == dict(enumerate(log.ends)), timeout_s=DEADLINE_S)
    process.terminate()
    assert await process.wait() == 0
    journal.assert_without_hole_or_double()


async def test_sigterm_ends_the_process_soon_and_leaves_no_files(log: Log, tmp_path: Path) -> None:
    await log.produce(50_000)
    journal = Journal(tmp_path / "journal")
    process = await start_process(log, journal)
    await until(lambda: len(journal.batches()) >= 3, timeout_s=DEADLINE_S)
    since = time.monotonic()
    process.terminate()
    assert await process.wait() == 0
    assert time.monotonic() - since < 4
    journal.assert_without_hole_or_double()
    assert [path.name for path in files_in(tmp_path)] == ["journal"]
