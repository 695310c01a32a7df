"""The appender of a trusted service: records straight to Kafka, answered when all in-sync replicas have them.

Its acknowledgement says that an event is durable, not that it is accepted: the verdict is the log's.
"""

from __future__ import annotations

import asyncio
from typing import Final, Self

from everlog.adapters.kafka.connection import DEPENDENCY
from everlog.domain.encoding import encode
from everlog.domain.record import Headers, Position, partition_of
from everlog.ports.log import EVENT_HEADERS
from everlog.producers.lane import Entry, Lane
from everlog.producers.link import Link
from everlog.producers.window import Window
from everlog.runtime.config import KafkaSettings
from everlog.runtime.lifecycle import Closing
from everlog.schemas.errors import LimitExceededError, UnavailableError
from everlog.schemas.events import Event
from everlog.schemas.identifiers import session_key
from everlog.schemas.limits import VALUE_BYTES

APPEND_TIMEOUT_S: Final = 10.0
"""An append's time, from its acceptance on: a leader election takes about half of it."""
WINDOW_BYTES: Final = 32 * 1024 * 1024
"""Values that may wait to be acknowledged: half a second at 150,000 usual events a second."""
EXTRA_BYTES: Final = 16 * 1024
"""Key and headers of one record: trace context and a content type, not content."""
RECORD_OVERHEAD_BYTES: Final = 1024
"""What an accepted record costs beside its bytes: Python objects; counted so that many tiny ones are bounded too."""
SWEEP_S: Final = 0.25
"""How late a timeout may come."""
CLOSE_TIMEOUT_S: Final = 10.0
"""A closing producer's time to get its records acknowledged."""


class Producer(Closing):
    """An ``Appender`` on Kafka: idempotent, acks=all, in order within a session. Use it as an async context manager.

    The order of a partition is the order of the calls. Cancelling ``append`` withdraws the record if it was not handed
    over yet. ``append_timeout_s`` bounds a call; ``UnavailableError`` says that nothing was handed over,
    ``UnknownOutcomeError`` that the record may still land: append it again with the same event id.
    """

    def __init__(self, settings: KafkaSettings, *, append_timeout_s: float = APPEND_TIMEOUT_S) -> None:
        self._settings = settings
        self._timeout_s = append_timeout_s
        self._lanes: list[Lane] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def start(self) -> None:
        """Connect. Raises ``UnavailableError``, and ``ConfigurationError`` when there is no such topic."""
        self._loop = asyncio.get_running_loop()
        self._link = Link(self._settings)
        partitions = await self._link.start()
        self._window = Window(WINDOW_BYTES)
        self._lanes = [Lane(number, self._link, self._window, self._settings) for number in range(partitions)]
        self._sweeper = asyncio.create_task(self._sweep(), name="time out appends")

    async def close(self) -> None:
        """Wait up to ``CLOSE_TIMEOUT_S`` for what was accepted, answer the rest, and disconnect."""
        lanes, self._lanes = self._lanes, []
        if not lanes:
            return
        unsettled = [position for lane in lanes for position in lane.unsettled()]
        if unsettled:
            await asyncio.wait(unsettled, timeout=CLOSE_TIMEOUT_S)
        self._sweeper.cancel()
        for lane in lanes:
            await lane.close()
        await self._link.close()

    async def append(self, key: str, value: bytes, headers: Headers = ()) -> Position | None:
        """Append one record; returns once all in-sync replicas have it.

        Returns its position, or None where the broker acknowledged without telling one (a resent batch): then look the
        event id up. Raises ``UnavailableError``, ``UnknownOutcomeError``, ``LimitExceededError``.
        """
        raw_key = key.encode()
        size = RECORD_OVERHEAD_BYTES + _checked_size(raw_key, value, headers)
        if not self._window.try_take(size):
            await self._wait_for_room(size)
        if not self._lanes:
            self._window.give(size)
            raise UnavailableError(DEPENDENCY, "the producer is closed; nothing was handed over")
        position: asyncio.Future[Position | None] = self._loop.create_future()
        lane = self._lanes[partition_of(raw_key, len(self._lanes))]
        lane.put(Entry(raw_key, value, headers, size, self._loop.time(), position))
        return await position

    async def append_event(self, event: Event) -> Position | None:
        """Append an event to its session; see ``append``. Raises ``InvalidEventError``, too."""
        return await self.append(session_key(event.tenantid, event.subject), encode(event), EVENT_HEADERS)

    async def _wait_for_room(self, size: int) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._window.take(size)
        except TimeoutError:
            detail = f"{WINDOW_BYTES >> 20} MiB wait to be acknowledged; nothing was handed over"
            raise UnavailableError(
                DEPENDENCY, detail, hint="Append more slowly, or find out why Kafka is slow"
            ) from None

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            before = self._loop.time() - self._timeout_s
            for lane in self._lanes:
                lane.expire(before)


def _checked_size(key: bytes, value: bytes, headers: Headers) -> int:
    if len(value) > VALUE_BYTES:
        raise LimitExceededError("an event in bytes", maximum=VALUE_BYTES, actual=len(value))
    extra = len(key) + sum(len(name) + len(content or b"") for name, content in headers)
    if extra > EXTRA_BYTES:
        raise LimitExceededError("a record's key and headers in bytes", maximum=EXTRA_BYTES, actual=extra)
    return len(value) + extra
