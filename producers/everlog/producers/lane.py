"""One partition's way to Kafka: a queue, and one batch at a time that was handed over.

While a batch is on its way the next one gathers, so batches grow with the load. What is still in the queue was not
handed over: it can be withdrawn without a doubt. What was handed over may land at any time, even long after its
caller was told that nobody knows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from everlog.adapters.kafka.connection import DEPENDENCY, hint_for
from everlog.domain.record import Headers, Position
from everlog.producers.link import BATCH_BYTES, Link
from everlog.producers.window import Window
from everlog.runtime.config import KafkaSettings
from everlog.schemas.errors import EverlogError, UnavailableError, UnknownOutcomeError

LINGER_S: Final = 0.005
"""What the first record after a pause waits for company: small batches cost the broker and every reader of the log."""
RECONNECT_PAUSE_S: Final = 0.5
"""Between two tries to connect a new producer."""

_log = structlog.get_logger(__name__)


class Entry(NamedTuple):
    """A record that waits for its position; ``since`` is the loop's time of its acceptance."""

    key: bytes
    value: bytes
    headers: Headers
    size: int
    since: float
    position: asyncio.Future[Position | None]


class Lane:
    """Brings the records of one partition to the log in the order of ``put``."""

    def __init__(self, partition: int, link: Link, window: Window, settings: KafkaSettings) -> None:
        self._partition, self._link, self._window, self._settings = partition, link, window, settings
        self._queue: deque[Entry] = deque()
        self._queued_bytes = 0
        self._handed_over: list[Entry] = []
        self._filled = asyncio.Event()
        self._full = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"append to partition {partition}")

    def put(self, entry: Entry) -> None:
        """Take a record."""
        self._queue.append(entry)
        self._queued_bytes += entry.size
        self._filled.set()
        if self._queued_bytes >= BATCH_BYTES:
            self._full.set()

    def unsettled(self) -> list[asyncio.Future[Position | None]]:
        """The positions that callers still wait for."""
        return [entry.position for entry in (*self._queue, *self._handed_over) if not entry.position.done()]

    def expire(self, before: float) -> None:
        """Answer all callers whose records were accepted before this time of the loop."""
        while self._queue and self._queue[0].since < before:
            self._withdraw(self._queue[0], "nothing was acknowledged in time")
        for entry in self._handed_over:
            if entry.since < before:
                _fail(entry, self._unknown("no acknowledgement in time"))

    async def close(self) -> None:
        """End at once: callers that still wait are told what is known."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        while self._queue:
            self._withdraw(self._queue[0], "the producer was closed")
        self._settle_unknown("the producer was closed")

    async def _run(self) -> None:
        while True:
            await self._gather()
            try:
                producer = await self._link.producer()
            except EverlogError as error:
                _log.warning("no producer", partition=self._partition, error=str(error))
                await asyncio.sleep(RECONNECT_PAUSE_S)
                continue
            await self._deliver(producer)

    async def _gather(self) -> None:
        if self._queue:
            return
        self._filled.clear()
        await self._filled.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._full.wait()

    async def _deliver(self, producer: AIOKafkaProducer) -> None:
        batch = producer.create_batch()
        while self._queue and self._added(batch, self._queue[0]):
            self._forget_first()
        if not self._handed_over:
            return
        batch.close()
        try:
            # Nothing is pending for this partition, so this hands over at once; and its end may come much later.
            acknowledged = await producer.send_batch(batch, self._settings.topic_name, partition=self._partition)
            self._settle(await acknowledged)
        except Exception as error:
            _log.warning("a batch failed", partition=self._partition, error=repr(error))
            self._settle_unknown(str(error) or type(error).__name__, hint_for(error, self._settings))
            self._link.discard(producer)

    def _added(self, batch: BatchBuilder, entry: Entry) -> bool:
        """Whether this entry is dealt with: in the batch, or not of this world. False: the batch is full."""
        if entry.position.done():  # its caller went away before the hand-over: it never happened
            self._window.give(entry.size)
            return True
        try:
            added = batch.append(key=entry.key, value=entry.value, timestamp=None, headers=list(entry.headers))
        except (TypeError, ValueError, AttributeError) as error:  # a caller's mistake must not stop the others
            self._window.give(entry.size)
            entry.position.set_exception(error)
            return True
        if added is not None:
            self._handed_over.append(entry)
        return added is not None

    def _settle(self, first: RecordMetadata) -> None:
        # After DUPLICATE_SEQUENCE the broker acknowledges without an offset (-1), nor does it tell the log's start.
        known = first.offset >= 0 and (first.log_start_offset is None or first.log_start_offset >= 0)
        for at, entry in enumerate(self._handed_over):
            self._window.give(entry.size)
            if not entry.position.done():
                position = Position(self._settings.era, self._partition, first.offset + at) if known else None
                entry.position.set_result(position)
        self._handed_over.clear()

    def _settle_unknown(self, detail: str, hint: str = "") -> None:
        for entry in self._handed_over:
            self._window.give(entry.size)
            _fail(entry, self._unknown(detail, hint))
        self._handed_over.clear()

    def _withdraw(self, entry: Entry, detail: str) -> None:
        self._forget_first()
        self._window.give(entry.size)
        detail = f"partition {self._partition}: {detail}; nothing was handed over"
        _fail(entry, UnavailableError(DEPENDENCY, detail, hint=f"Check that {self._settings.brokers} can be reached"))

    def _forget_first(self) -> None:
        self._queued_bytes -= self._queue.popleft().size
        if self._queued_bytes < BATCH_BYTES:
            self._full.clear()

    def _unknown(self, detail: str, hint: str = "") -> UnknownOutcomeError:
        return UnknownOutcomeError(DEPENDENCY, f"partition {self._partition}: {detail}", hint=hint)


def _fail(entry: Entry, error: UnavailableError) -> None:
    if not entry.position.done():
        entry.position.set_exception(error)
