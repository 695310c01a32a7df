"""A projector worker: the partitions of a group's share, batch by batch, into a sink.

Order of events for a partition:
1. The group assigns it. Fetching is off; heartbeats run in the consumer's thread.
2. The sink is asked where to go on. This may take long; the worker counts as polling meanwhile.
   It happens in Faust's signal ``on_rebalance_complete``: earlier, inside the join, no heartbeats are sent, and later,
   in ``perform_seek``, Faust goes on without an answer after a timeout.
3. The consumer seeks there, fetching starts, and each batch goes to the sink; the cursor follows its answers.
4. A ``ResumeError`` repeats 2 and 3 for this partition alone, in place, after a pause. Restarting the app instead would
   take every partition away from every worker for some seconds.
5. The group takes it away, or the worker stops: the running batch ends, its offset is committed, the sink is told.

Any other error stops the worker; ``run`` raises it, and whoever supervises the process starts a new one.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import threading
from collections.abc import Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

from aiokafka.errors import IllegalStateError, KafkaConnectionError, OffsetOutOfRangeError
from faust.tables.recovery import RebalanceAgain
from faust.types import TP

from everlog.ports.log import LogRecord
from everlog.projector.app import SESSION_TIMEOUT_S, GroupSettings, ProjectorApp, build_app, kafka_credentials
from everlog.projector.backlog import Backlog
from everlog.projector.cursors import Cursors
from everlog.projector.ports import BatchSink, ResumeError
from everlog.projector.transport import Transport
from everlog.schemas.errors import IntegrityError, UnavailableError

DRAIN_TIMEOUT_S = 1.5
"""What a running batch gets to end when the worker stops; then it is cancelled and will be read again."""
WATCHDOG_S = 20.0
"""A shutdown that takes longer is cut off: the next worker starts from the watermark anyway."""
WATCHDOG_EXIT_CODE = 70
RESUMES_MAX = 10
"""Resumes in a row without an applied batch; about half a minute, below the rebalance timeout. Then the worker ends."""
RESUME_PAUSE_S = 0.2
RESUME_PAUSE_MAX_S = 5.0
VERIFY_S = 5.0
"""How often the sink is asked about a partition without new records: so long a restored view goes unnoticed."""
KEEP_POLLING_S = 20.0
"""How often a long wait for the sink counts as a poll; well below ``POLL_INTERVAL_S``."""

log = logging.getLogger(__name__)


class ProjectorWorker:
    """One member of a generation's consumer group; ``run`` it once, in a running asyncio loop."""

    def __init__(
        self,
        *,
        brokers: str,
        topic: str,
        group: str,
        sink: BatchSink,
        instance_id: str | None = None,
        security: Mapping[str, Any] | None = None,
        session_timeout_s: float = SESSION_TIMEOUT_S,
    ) -> None:
        """``brokers`` is ``"host:port,host:port"``, ``group`` is ``everlog-g<n>``.

        ``security`` holds aiokafka's keyword arguments for TLS and SASL. With an ``instance_id`` a restart within the
        session timeout keeps its partitions; without, a stopped worker's go to the others at once.
        """
        credentials = kafka_credentials(security or {})
        self._settings = GroupSettings(brokers, topic, group, instance_id, credentials, session_timeout_s)
        self._sink = sink
        self._cursors = Cursors()
        self._held: set[int] = set()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._backlogs: dict[int, Backlog] = {}
        self._draining: dict[int, asyncio.Task[None]] = {}
        self._resumes: dict[int, int] = {}
        self._failure: BaseException | None = None
        self._ending = False
        self._interrupted = asyncio.Event()
        self._stop_requested = asyncio.Event()
        self.has_joined = False
        """Whether the group has given it its share, which may be none, and the sink has said where to go on."""
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Work until ``stop`` or a failure, which is raised.

        Raises what the sink raised, ``UnavailableError`` when Kafka does not answer, ``IntegrityError`` when the
        offset to go on at lies outside of what the log holds.
        """
        self._app = app = build_app(self._settings, self._handle)
        transport = cast(Transport, app.transport)
        transport.cursors = self._cursors
        transport.interrupt, transport.allow = self._interrupted.set, self._allow
        transport.on_revoked = self._give_back
        app.on_rebalance_complete.connect(self._place_assigned)
        try:
            await self._until_stopped(app)
        finally:
            try:
                with watchdog():
                    await self._shut_down(app)
            finally:
                self._ended.set()
        if self._failure is not None:
            raise translated(self._failure) from self._failure

    async def stop(self) -> None:
        """Let running batches end, commit, leave the group; returns when ``run`` is through, within about 2 s."""
        self._stop_requested.set()
        await self._ended.wait()

    async def _until_stopped(self, app: ProjectorApp) -> None:
        async def live() -> None:
            await app.start()
            await app.wait_until_stopped()

        life, stop = asyncio.create_task(live()), asyncio.create_task(self._stop_requested.wait())
        verifying = asyncio.create_task(self._verify_idle())
        try:
            await asyncio.wait({life, stop}, return_when=asyncio.FIRST_COMPLETED)
            if life.done() and (error := life.exception() or app.crash_reason) is not None:
                self._fail(error)
        finally:
            for task in (life, stop, verifying):
                task.cancel()
            await asyncio.gather(life, stop, verifying, return_exceptions=True)

    async def _shut_down(self, app: ProjectorApp) -> None:
        self._ending = True
        self._interrupted.set()
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=DRAIN_TIMEOUT_S)
            for batch in late:
                batch.cancel()
        await app.stop()
        await asyncio.gather(*self._draining.values())
        await self._give_back(self._held)

    def _fail(self, error: BaseException) -> None:
        """Remember the first error and begin to stop: no batch is begun from now on.

        Raising inside Faust instead would tear its services down in no order while the others still commit.
        """
        if self._failure is None:
            self._failure = error
        self._ending = True
        self._interrupted.set()
        self._stop_requested.set()

    def _allow(self) -> None:
        if not self._ending:
            self._interrupted.clear()

    async def _handle(self, tp: TP, records: Sequence[LogRecord]) -> None:
        """Take a chunk in; called by the agent of this partition, which waits only while too much does."""
        if self._ending:
            return
        backlog = self._backlogs.setdefault(tp.partition, Backlog())
        if backlog.is_drained:
            backlog.is_drained = False
            self._draining[tp.partition] = asyncio.create_task(self._drain(tp, backlog, records))
        else:
            await backlog.add(records)

    async def _verify_idle(self) -> None:
        """Now and then begin a drain without records for every partition of which no batch runs."""
        while True:
            await asyncio.sleep(VERIFY_S)
            for partition in self._held:
                backlog = self._backlogs.setdefault(partition, Backlog())
                if backlog.is_drained and not self._ending and self._cursors.next_offset(partition) is not None:
                    backlog.is_drained = False
                    tp = TP(self._settings.topic, partition)
                    self._draining[partition] = asyncio.create_task(self._drain(tp, backlog, ()))

    async def _drain(self, tp: TP, backlog: Backlog, records: Sequence[LogRecord]) -> None:
        """Apply what is due of a chunk, then of all that came meanwhile; resume, or fail. Without a chunk, verify."""
        try:
            while not self._ending:
                try:
                    if not records:
                        await self._call_sink(tp.partition, self._sink.verify(tp.partition))
                    elif due := self._cursors.due(tp.partition, records):
                        await self._apply(tp.partition, due)
                except ResumeError as error:
                    backlog.clear()
                    await self._resume(tp, error)
                records = backlog.take()
                if not records:
                    break
        except Exception as error:
            self._fail(error)
        finally:
            backlog.is_drained = True
            backlog.clear()

    async def _apply(self, partition: int, records: Sequence[LogRecord]) -> None:
        if await self._call_sink(partition, self._sink.apply(partition, records)):
            self._cursors.advance(partition, records)
            self._resumes.pop(partition, None)

    async def _call_sink(self, partition: int, call: Coroutine[Any, Any, None]) -> bool:
        """Let the sink work on a partition; False when it was cancelled, by a shutdown that could not wait."""
        work = asyncio.create_task(call)
        self._running[partition] = work
        try:
            await asyncio.wait({work})
        finally:
            work.cancel()
            del self._running[partition]
        if work.cancelled():
            return False
        work.result()
        return True

    async def _resume(self, tp: TP, error: ResumeError) -> None:
        """Go on where the sink says, unless the partition is taken away meanwhile: then its next owner asks."""
        starts = await self._starts([tp.partition], error)
        if starts is None or tp.partition not in self._held:
            return
        self._cursors.place(starts)
        with suppress(IllegalStateError):
            await self._app.batch_consumer.seek_to_cursors([tp])

    async def _place_assigned(self, *_: object, **__: object) -> None:
        """Ask the sink where the new assignment goes on.

        Depends on Faust sending ``on_rebalance_complete`` before it seeks and resumes, without a timeout, and on its
        ``RebalanceAgain``, which makes it wait for the next assignment instead.
        """
        partitions = sorted(tp.partition for tp in self._app.batch_consumer.assignment())
        if not partitions:
            self.has_joined = True
            return
        self._held.update(partitions)
        try:
            starts = await self._starts(partitions)
        except Exception as error:
            self._fail(error)
            starts = None
        if starts is None:
            raise RebalanceAgain
        self._cursors.place(starts)
        self.has_joined = True

    async def _starts(self, partitions: list[int], error: ResumeError | None = None) -> Mapping[int, int] | None:
        """Where to go on, asked until there is an answer; None when interrupted."""
        while not self._interrupted.is_set():
            if error is not None and await self._interrupted_within(self._pause_s(partitions, error)):
                break
            try:
                return await self._ask_sink(partitions)
            except ResumeError as raised:
                error = raised
        return None

    def _pause_s(self, partitions: list[int], error: ResumeError) -> float:
        for partition in partitions:
            self._resumes[partition] = self._resumes.get(partition, 0) + 1
        resumes = max(self._resumes[partition] for partition in partitions)
        if resumes > RESUMES_MAX:
            raise error
        log.warning("Resuming partitions %s for the %d. time: %s", partitions, resumes, error)
        return float(min(RESUME_PAUSE_S * 2 ** (resumes - 1), RESUME_PAUSE_MAX_S))

    async def _interrupted_within(self, timeout_s: float) -> bool:
        try:
            await asyncio.wait_for(self._interrupted.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def _ask_sink(self, partitions: list[int]) -> Mapping[int, int] | None:
        answer = asyncio.create_task(self._sink.assigned(partitions))
        interruption = asyncio.create_task(self._interrupted.wait())
        try:
            while not (answer.done() or interruption.done()):
                await asyncio.wait({answer, interruption}, timeout=KEEP_POLLING_S, return_when=asyncio.FIRST_COMPLETED)
                if not (answer.done() or interruption.done()):
                    await self._app.batch_consumer.keep_polling()
            return None if interruption.done() else answer.result()
        finally:
            answer.cancel()
            interruption.cancel()
            await asyncio.gather(answer, interruption, return_exceptions=True)

    async def _give_back(self, partitions: Collection[int]) -> None:
        """Wait for running batches, forget the cursors, tell the sink."""
        running = [batch for partition, batch in self._running.items() if partition in partitions]
        if running:
            await asyncio.wait(running)
        self._cursors.drop(partitions)
        held = sorted(self._held.intersection(partitions))
        self._held.difference_update(held)
        if held:
            try:
                await self._sink.revoked(held)
            except Exception as error:
                self._fail(error)


def translated(error: BaseException) -> BaseException:
    """A driver's error as one of ours; others stay what they are."""
    if isinstance(error, OffsetOutOfRangeError):
        return IntegrityError(
            f"The log does not hold the offset to go on at: {error}",
            hint="Below the log's start the archive goes on; beyond its end this is not the log that was projected",
        )
    if isinstance(error, KafkaConnectionError):
        return UnavailableError("kafka", str(error))
    return error


@contextmanager
def watchdog(timeout_s: float = WATCHDOG_S) -> Iterator[None]:
    """End the process if the body takes longer, and say where it hangs: a shutdown must not keep a zombie alive."""

    def give_up() -> None:
        log.critical("The shutdown hangs for %s s; ending the process", timeout_s)
        faulthandler.dump_traceback()
        os._exit(WATCHDOG_EXIT_CODE)

    timer = threading.Timer(timeout_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
