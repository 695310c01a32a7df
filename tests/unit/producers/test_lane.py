"""A lane against answers of a broker that a real one does not give on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition

from everlog.domain.record import Position, partition_of
from everlog.producers.lane import Entry, Lane
from everlog.producers.link import BATCH_BYTES, Link
from everlog.producers.window import Window
from everlog.runtime.config import KafkaSettings
from everlog.schemas.errors import UnavailableError, UnknownOutcomeError

SETTINGS = KafkaSettings(era=2)
Answer = asyncio.Future[RecordMetadata]


class ScriptedProducer:
    """Takes batches; the test gives the answers."""

    def __init__(self) -> None:
        self.handed_over: asyncio.Queue[tuple[int, Answer]] = asyncio.Queue()

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, 0, is_transactional=False, key_serializer=None, value_serializer=None)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> Answer:
        assert (topic, partition, batch.closed()) == ("everlog.events.2", 3, True)
        answer: Answer = asyncio.get_running_loop().create_future()
        self.handed_over.put_nowait((batch.record_count(), answer))
        return answer


class ScriptedLink:
    """Gives a new scripted producer after each that was discarded."""

    def __init__(self) -> None:
        self.producers = [ScriptedProducer()]

    async def producer(self) -> ScriptedProducer:
        return self.producers[-1]

    def discard(self, failed: ScriptedProducer) -> None:
        assert failed is self.producers[-1]
        self.producers.append(ScriptedProducer())


@pytest.fixture
def link() -> ScriptedLink:
    return ScriptedLink()


@pytest.fixture
def window() -> Window:
    return Window(1_000)


@pytest.fixture
async def lane(link: ScriptedLink, window: Window) -> AsyncIterator[Lane]:
    lane = Lane(3, cast(Link, link), window, SETTINGS)
    yield lane
    await lane.close()


def put(lane: Lane, window: Window, *, value: bytes = b"x", since: float = 0) -> asyncio.Future[Position | None]:
    assert window.try_take(10)
    position: asyncio.Future[Position | None] = asyncio.get_running_loop().create_future()
    lane.put(Entry(b"a/b", value, (), 10, since, position))
    return position


def metadata(offset: int, log_start: int = 0) -> RecordMetadata:
    return RecordMetadata("everlog.events.2", 3, TopicPartition("everlog.events.2", 3), offset, 1, 1, log_start)


async def handed_over(producer: ScriptedProducer) -> tuple[int, Answer]:
    return await asyncio.wait_for(producer.handed_over.get(), 5)


async def test_records_of_one_moment_go_in_one_batch_and_get_their_offsets(
    lane: Lane, window: Window, link: ScriptedLink
) -> None:
    positions = [put(lane, window) for _ in range(3)]
    count, answer = await handed_over(link.producers[0])
    assert count == 3
    answer.set_result(metadata(7))
    assert await asyncio.gather(*positions) == [Position(2, 3, offset) for offset in (7, 8, 9)]


async def test_only_one_batch_is_on_its_way_and_the_next_one_gathers(
    lane: Lane, window: Window, link: ScriptedLink
) -> None:
    first = put(lane, window)
    _, answer = await handed_over(link.producers[0])
    later = [put(lane, window) for _ in range(4)]
    assert link.producers[0].handed_over.empty()
    answer.set_result(metadata(0))
    await first
    count, answer = await handed_over(link.producers[0])
    assert count == 4
    answer.set_result(metadata(1))
    await asyncio.gather(*later)


async def test_an_acknowledgement_without_an_offset_gives_no_position_to_any_record(
    lane: Lane, window: Window, link: ScriptedLink
) -> None:
    positions = [put(lane, window) for _ in range(3)]
    _, answer = await handed_over(link.producers[0])
    answer.set_result(metadata(-1, log_start=-1))
    assert await asyncio.gather(*positions) == [None, None, None]


async def test_a_fatal_error_leaves_the_batch_unknown_and_the_next_goes_by_a_new_producer(
    lane: Lane, window: Window, link: ScriptedLink
) -> None:
    failed = [put(lane, window) for _ in range(2)]
    _, answer = await handed_over(link.producers[0])
    waiting = put(lane, window)
    answer.set_exception(OutOfOrderSequenceNumber())
    for position in failed:
        with pytest.raises(UnknownOutcomeError):
            await position
    count, answer = await handed_over(link.producers[1])
    assert count == 1
    answer.set_result(metadata(5))
    assert await waiting == Position(2, 3, 5)


async def test_a_timeout_tells_what_was_handed_over_from_what_was_not(
    lane: Lane, window: Window, link: ScriptedLink
) -> None:
    on_its_way = put(lane, window, since=1)
    _, answer = await handed_over(link.producers[0])
    queued, later = put(lane, window, since=2), put(lane, window, since=9)
    lane.expire(5)
    with pytest.raises(UnknownOutcomeError):
        await on_its_way
    with pytest.raises(UnavailableError, match="nothing was handed over") as withdrawn:
        await queued
    assert not isinstance(withdrawn.value, UnknownOutcomeError)
    answer.set_result(metadata(0))
    count, answer = await handed_over(link.producers[0])
    assert count == 1
    answer.set_result(metadata(1))
    assert await later == Position(2, 3, 1)


async def test_a_cancelled_append_that_was_not_handed_over_never_happens(
    lane: Lane, window: Window, link: ScriptedLink
) -> None:
    first = put(lane, window)
    _, answer = await handed_over(link.producers[0])
    cancelled, kept = put(lane, window), put(lane, window)
    cancelled.cancel()
    answer.set_result(metadata(0))
    count, answer = await handed_over(link.producers[0])
    assert count == 1
    answer.set_result(metadata(1))
    assert [await first, await kept] == [Position(2, 3, 0), Position(2, 3, 1)]


async def test_a_record_that_is_none_fails_alone(lane: Lane, window: Window, link: ScriptedLink) -> None:
    wrong, right = put(lane, window, value=cast(bytes, 17)), put(lane, window)
    count, answer = await handed_over(link.producers[0])
    assert count == 1
    answer.set_result(metadata(0))
    assert await right == Position(2, 3, 0)
    with pytest.raises(TypeError):
        await wrong


async def test_a_large_record_waits_for_a_batch_of_its_own(lane: Lane, window: Window, link: ScriptedLink) -> None:
    positions = [put(lane, window), put(lane, window, value=b"x" * BATCH_BYTES * 2)]
    for offset in range(2):
        count, answer = await handed_over(link.producers[0])
        assert count == 1
        answer.set_result(metadata(offset))
    assert await asyncio.gather(*positions) == [Position(2, 3, 0), Position(2, 3, 1)]


async def test_closing_answers_everybody_and_empties_the_window(window: Window, link: ScriptedLink) -> None:
    lane = Lane(3, cast(Link, link), window, SETTINGS)
    on_its_way = put(lane, window)
    await handed_over(link.producers[0])
    queued = put(lane, window)
    assert lane.unsettled() == [queued, on_its_way]
    await lane.close()
    with pytest.raises(UnknownOutcomeError):
        await on_its_way
    with pytest.raises(UnavailableError, match="nothing was handed over"):
        await queued
    await asyncio.wait_for(window.take(1_000), 1)
    assert not window.try_take(1)


async def test_a_full_window_lets_the_next_in_when_something_is_given_back() -> None:
    window = Window(10)
    await window.take(9)
    await window.take(5)  # one record may lie over the limit
    waiting = asyncio.create_task(window.take(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    window.give(9)
    await asyncio.wait_for(waiting, 1)


def test_the_partition_is_that_of_the_default_partitioner() -> None:
    partitions = list(range(12))
    for number in range(500):
        key = b"acme/" + b"session-%d" % number * (number % 5 + 1)
        assert partition_of(key, 12) == DefaultPartitioner()(key, partitions, partitions)
