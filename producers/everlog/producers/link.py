"""The aiokafka producer in use. One that failed is replaced; the old one ends in the background."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerClosed

from everlog.adapters.kafka.connection import REQUEST_TIMEOUT_S, admin_client, client_arguments, translated
from everlog.adapters.kafka.topic import describe_topic
from everlog.runtime.config import KafkaSettings

BATCH_BYTES: Final = 128 * 1024
"""A batch: about 300 usual events. Larger ones brought no more throughput; a larger record has a batch of its own."""
COMPRESSION: Final = "zstd"
"""450-byte events, two cores shared with the broker: zstd 115,000 a second, lz4 98,000, none 88,000."""
STOP_TIMEOUT_S: Final = 5.0
"""An old producer's time to deliver what it holds, before its batches are given up."""

_log = structlog.get_logger(__name__)


class Link:
    """Gives the producer in use. An idempotent one is of no use after a batch failed: its sequence has a gap."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._current: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Connect; the number of the topic's partitions. Raises ``UnavailableError``, ``ConfigurationError``."""
        async with admin_client(self._settings) as admin:
            facts = await describe_topic(admin, self._settings)
        await self.producer()
        return facts.partitions

    async def producer(self) -> AIOKafkaProducer:
        """The producer in use, a new one after a failure. Raises ``UnavailableError``."""
        async with self._connecting:
            if self._current is None:
                self._current = await self._connect()
            return self._current

    def discard(self, failed: AIOKafkaProducer) -> None:
        """Use this one no more."""
        if failed is self._current:
            self._current = None
            task = asyncio.create_task(stop_producer(failed), name="retire a producer")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def close(self) -> None:
        """Stop all producers within about ``STOP_TIMEOUT_S`` and a request's timeout."""
        if self._current is not None:
            self.discard(self._current)
        await asyncio.gather(*self._retiring)

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **client_arguments(self._settings),
            acks="all",
            enable_idempotence=True,
            compression_type=COMPRESSION,
            max_batch_size=BATCH_BYTES,
        )
        try:
            with translated(self._settings, "connecting a producer"):
                async with asyncio.timeout(REQUEST_TIMEOUT_S):  # the driver asks for a producer id for ever
                    await producer.start()
                    await producer.partitions_for(self._settings.topic_name)
        except BaseException:
            await stop_producer(producer)
            raise
        return producer


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Stop a producer, giving up batches that it cannot deliver.

    ``AIOKafkaProducer.stop`` waits for the delivery of every batch, and an idempotent producer never gives one up: with
    Kafka away it would wait for ever. aiokafka 0.14 has no public way out, so this reaches into it.
    """
    stopping = asyncio.create_task(producer.stop(), name="stop a producer")
    _, late = await asyncio.wait({stopping}, timeout=STOP_TIMEOUT_S)
    if late:
        await producer._sender.close()  # waits for a request that is on its way, at most its timeout
        _give_up_batches(producer)
    await stopping


def _give_up_batches(producer: AIOKafkaProducer) -> None:
    accumulator = producer._message_accumulator
    accumulator._pending_batches.update(batch for queue in accumulator._batches.values() for batch in queue)
    accumulator._batches.clear()
    _log.warning("a Kafka producer gave up its last batches", batches=len(accumulator._pending_batches))
    for batch in accumulator._pending_batches:
        if not batch.future.done():
            batch.future.set_exception(ProducerClosed())
            batch.future.exception()  # nobody may wait for it any more; that is no reason for a warning
