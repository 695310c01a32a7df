"""The Kafka appender against a real broker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from everlog.adapters.kafka import KafkaReader, ensure_topic
from everlog.domain.event import Event as DecodedEvent
from everlog.domain.law import LAW
from everlog.local.stack import Addresses
from everlog.producers import Producer
from everlog.runtime.config import KafkaSettings
from everlog.schemas.errors import InvalidEventError, LimitExceededError, UnavailableError
from everlog.schemas.events import CONTENT_TYPE, Event

pytestmark = pytest.mark.integration


def event(**changes: object) -> Event:
    fields: dict[str, object] = {
        "id": "e1",
        "source": "/tests",
        "type": "everlog.session.created.v1",
        "subject": "rome-42",
        "tenantid": "acme",
        "time": "2026-01-01T00:00:00Z",
        "actor": "ada",
        "data": {"owner": "ada"},
    }
    return Event.model_validate(fields | changes)


@pytest.fixture
async def settings(services: Addresses) -> KafkaSettings:
    topic = f"producer-{uuid.uuid4()}"
    settings = KafkaSettings(brokers=services.kafka, topic=topic, partitions=2, replication=1)
    await ensure_topic(settings)
    return settings


@pytest.fixture
async def producer(settings: KafkaSettings) -> AsyncIterator[Producer]:
    async with Producer(settings) as producer:
        yield producer


@pytest.fixture
async def reader(settings: KafkaSettings) -> AsyncIterator[KafkaReader]:
    async with KafkaReader(settings) as reader:
        yield reader


async def test_an_event_lies_on_the_log_as_the_fold_reads_it(producer: Producer, reader: KafkaReader) -> None:
    position = await producer.append_event(event())
    assert position is not None
    async for chunk in reader.read(position.partition, position.offset, position.offset + 1):
        (record,) = chunk
        assert record.key == b"acme/rome-42"
        assert tuple(record.headers) == (("content-type", CONTENT_TYPE.encode()),)
        decoded = LAW.decode(record.value or b"")
        assert isinstance(decoded, DecodedEvent) and decoded.id == "e1"


async def test_an_event_that_the_law_would_call_malformed_never_reaches_the_log(
    producer: Producer, reader: KafkaReader
) -> None:
    with pytest.raises(InvalidEventError):
        await producer.append_event(event(data={"owner": 17}))
    assert [(await reader.bounds(partition)).end for partition in range(2)] == [0, 0]


async def test_many_callers_get_the_positions_of_their_own_records(producer: Producer, reader: KafkaReader) -> None:
    values = [b"%d" % number for number in range(3_000)]
    positions = await asyncio.gather(*(producer.append(f"acme/s{int(value) % 50}", value) for value in values))
    expected = {(at.partition, at.offset): value for at, value in zip(positions, values, strict=True) if at}
    assert len(expected) == len(values)
    for partition in range(2):
        end = (await reader.bounds(partition)).end
        async for chunk in reader.read(partition, 0, end):
            for record in chunk:
                assert expected.pop((partition, record.offset)) == record.value
    assert expected == {}


async def test_the_order_of_a_session_is_the_order_of_the_calls(producer: Producer) -> None:
    positions = await asyncio.gather(*(producer.append("acme/one", b"%d" % number) for number in range(500)))
    offsets = [position.offset for position in positions if position is not None]
    assert offsets == sorted(offsets) and len(offsets) == 500


async def test_closing_waits_for_what_was_accepted(settings: KafkaSettings) -> None:
    producer = Producer(settings)
    await producer.start()
    appends = [asyncio.create_task(producer.append("acme/one", b"x")) for _ in range(100)]
    await asyncio.sleep(0)
    await producer.close()
    assert None not in await asyncio.gather(*appends)
    with pytest.raises(UnavailableError, match="closed"):
        await producer.append("acme/one", b"x")


async def test_headers_have_a_limit(producer: Producer) -> None:
    with pytest.raises(LimitExceededError, match="headers"):
        await producer.append("acme/one", b"x", [("large", b"x" * 20_000)])


async def test_a_broker_that_is_not_there_is_unavailable(unused_tcp_port: int) -> None:
    settings = KafkaSettings(brokers=f"127.0.0.1:{unused_tcp_port}")
    with pytest.raises(UnavailableError, match="Kafka is unavailable"):
        await Producer(settings).start()
    async with KafkaReader(settings) as reader:
        with pytest.raises(UnavailableError):
            await reader.bounds(0)
