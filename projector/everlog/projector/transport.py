"""Faust's Kafka consumer with our rule of where to read: the cursors, never the group's offsets.

Each override says which private method or attribute of Faust or aiokafka it depends on; a contract test keeps watch
over all of them, and the versions are pinned.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, ClassVar, cast

import aiokafka
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.transports import ConsumerT, TPorTopicSet
from mode.threads import WorkerThread

from everlog.projector.cursors import Cursors

FETCH_MAX_WAIT_MS = 100
"""How long a broker holds a fetch without data. Faust's 1,500 ms let busy partitions wait for idle ones of the node."""
COMMIT_TIMEOUT_S = 0.5
"""How long a commit may take. Without a broker aiokafka tries for ever, and a stop waits for the last commit. What is
lost is a figure on a dashboard: a worker goes on at the watermark of the warm store."""
STOP_TIMEOUT_S = 1.0
"""How long the consumer's thread may take to leave the group; a broker that does not answer finds out by itself."""

log = logging.getLogger(__name__)

PartitionsCallback = Callable[[Collection[int]], Awaitable[None]]


class NoReadOffsets(dict[TP, int | None]):
    """Faust's notes of how far each partition was read, left blank.

    Faust drops a message below the offset it noted last, and notes the offset of a message that was under way while
    we sought back: the records in between would be dropped without a word. The cursors pass over what was applied.
    """

    def __getitem__(self, tp: TP) -> None:
        return None

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        pass


class QuietThread(WorkerThread):
    """A thread whose failure is reported once: mode hands it to the app, then raises it into nowhere as well."""

    def run(self) -> None:
        """Run the service of this thread."""
        try:
            super().run()
        except Exception:
            log.debug("The consumer's thread ended with an error that the app has", exc_info=True)


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that holds the aiokafka consumer: heartbeats go on here while the main loop works.

    Depends on mode's ``ServiceThread.Worker``, the class of its thread.
    """

    Worker = QuietThread

    def on_crash(self, msg: str, *fmt: Any, **_: Any) -> None:
        """Nothing: mode prints a traceback here; the app logs the same error."""

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        """Set what Faust hard-codes, before the consumer starts.

        Depends on Faust's ``_create_worker_consumer`` and on aiokafka's ``_fetch_max_wait_ms`` and
        ``_isolation_level``, which its ``start`` reads.
        """
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        consumer._isolation_level = "read_committed"
        return consumer

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Give up after ``COMMIT_TIMEOUT_S``. Depends on Faust's ``_commit``, which runs in this thread."""
        try:
            return await asyncio.wait_for(super()._commit(offsets), COMMIT_TIMEOUT_S)
        except TimeoutError:
            log.warning("Kafka did not take a commit within %s s", COMMIT_TIMEOUT_S)
            return False

    async def on_thread_stop(self) -> None:
        """Leave the group and close the consumer, soon, whether Kafka answers or not.

        Depends on aiokafka's ``_client``. Its ``Fetcher.close`` cancels a fetch that waits to be tried again and lets
        that cancellation out: the thread would end without telling Faust, which would wait for it until the watchdog.
        """
        try:
            await asyncio.wait_for(super().on_thread_stop(), STOP_TIMEOUT_S)
        except (TimeoutError, asyncio.CancelledError):
            log.warning("The consumer is closed without a farewell to the group")
            if self._consumer is not None:
                await self._consumer._client.close()

    async def keep_polling(self) -> None:
        """Count as a poll, so that a long rebuild does not pass the group's poll interval.

        Depends on aiokafka's ``_subscription.fetch_context``, which Faust's own ``_fetch_records`` enters as well.
        """
        await self.call_thread(self._touch)

    async def _touch(self) -> None:
        with self._ensure_consumer()._subscription.fetch_context():
            pass


class Consumer(driver.Consumer):
    """Seeks to the cursors and commits them."""

    transport: Transport
    _thread: ConsumerThread

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._read_offset = NoReadOffsets()

    def _new_consumer_thread(self) -> ConsumerThread:
        """Depends on Faust's ``_new_consumer_thread``, the factory of the thread."""
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _new_offset(self, tp: TP) -> int | None:
        """What may be committed: the cursor. Group offsets are for dashboards only.

        Depends on Faust's ``_new_offset``, ``_acked`` and ``_acked_index``. Faust would work it out from the offsets
        of acknowledged messages, of which ours are few and far between.
        """
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self.transport.cursors.next_offset(tp.partition)

    async def commit(self, topics: TPorTopicSet | None = None, start_new_transaction: bool = True) -> bool:
        """Commit the cursors, unless Faust has crashed: the thread that would commit ends on its own then."""
        return False if self.crashed else await super().commit(topics, start_new_transaction)

    async def perform_seek(self) -> None:
        """Seek the assigned partitions to their cursors, which the app placed just before.

        Replaces Faust's seek to the committed offsets altogether. ``seek_wait`` runs in the consumer's thread and
        throws away what was fetched before.
        """
        await self.seek_to_cursors(set(self.assignment()))

    async def seek_to_cursors(self, tps: Collection[TP]) -> None:
        """Seek these partitions, as far as they are placed.

        Depends on Faust's ``_committed_offset``: an older commit must not keep it from counting acks.
        """
        next_offset = self.transport.cursors.next_offset
        offsets = {tp: offset for tp in tps if (offset := next_offset(tp.partition)) is not None}
        for tp in offsets:
            self._committed_offset.pop(tp, None)
        if offsets:
            await self.seek_wait(offsets)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Waiting for the sink is allowed again."""
        self.transport.allow()
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Give partitions back: wake who waits, let batches end, commit, then tell the sink.

        The base class forgets acks before it commits, so the commit comes before it, too.
        """
        partitions = {tp.partition for tp in revoked}
        self.transport.interrupt()
        await self.commit()
        await super().on_partitions_revoked(revoked)
        await self.transport.on_revoked(partitions)

    async def keep_polling(self) -> None:
        """See ``ConsumerThread.keep_polling``."""
        await self._thread.keep_polling()


class Transport(driver.Transport):
    """Makes our consumer and hands it the cursors and the worker's callbacks."""

    Consumer: ClassVar[type[ConsumerT]] = cast(type[ConsumerT], Consumer)
    cursors: Cursors
    interrupt: Callable[[], None]
    allow: Callable[[], None]
    on_revoked: PartitionsCallback
