"""Waiting for verdicts: outcomes as the projector publishes them, looked up by position.

The channel is a hint, not a source: it may lose messages and go away with Redis. Whoever has waited for a while, or
waits while the channel is down, is looked up in the warm store, which keeps every outcome.

That a session is parked is no answer: whoever waits goes on until its deadline, for a redrive tells the outcomes of
its records later, one by one.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from everlog.domain.record import Position
from everlog.domain.verdicts import PENDING
from everlog.gateway.live import LivePointer, Tiers
from everlog.ports.hot import Outcomes
from everlog.ports.warm import WarmReader
from everlog.schemas.errors import IntegrityError, UnavailableError

RECENT_BATCHES: Final = 64
"""Batches per partition that are kept for those who ask after their verdict was published: some seconds of work."""
POLL_PERIOD_S: Final = 0.25
"""How often the warm store is asked for those whose message is missing."""
PATIENCE_S: Final = 1.0
"""How long a message of a working channel is waited for before the warm store is asked."""
RETRY_PAUSE_S: Final = 0.1
RETRY_PAUSE_MAX_S: Final = 2.0
"""Pauses between subscriptions, doubled each time."""

log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    answer: asyncio.Future[int]
    since_s: float


class _Partition:
    """What is known and awaited of one partition."""

    def __init__(self) -> None:
        self.recent: deque[Outcomes] = deque(maxlen=RECENT_BATCHES)
        self.waiting: dict[int, list[_Waiting]] = {}
        self.pending: set[int] = set()
        """Awaited offsets whose session is parked: the warm store will never say more of them."""

    def find(self, offset: int) -> int | None:
        batch = self._recent_with(offset)
        packed = batch.packed[offset - batch.first] if batch is not None else None
        return packed if packed != PENDING else None

    def add(self, batch: Outcomes) -> None:
        if self.recent and batch.first <= self.recent[-1].first:
            if len(batch.packed) == 1:
                self._correct(batch)
            else:  # said again after a resume: keep the order
                self.recent.clear()
                self.recent.append(batch)
        else:
            self.recent.append(batch)
        last = batch.first + len(batch.packed)
        for offset in [offset for offset in self.waiting if batch.first <= offset < last]:
            self.tell(offset, batch.packed[offset - batch.first])

    def _correct(self, late: Outcomes) -> None:
        """A single outcome that comes late, of a redrive, takes the place of the one that was pending."""
        batch = self._recent_with(late.first)
        if batch is not None and late.packed[0] != PENDING:
            batch.packed[late.first - batch.first] = late.packed[0]

    def _recent_with(self, offset: int) -> Outcomes | None:
        at = bisect_right(self.recent, offset, key=lambda batch: batch.first) - 1
        if at < 0:
            return None
        batch = self.recent[at]
        return batch if offset < batch.first + len(batch.packed) else None

    def tell(self, offset: int, packed: int) -> None:
        if packed == PENDING:
            self.pending.add(offset)
            return
        for waiting in self.waiting.pop(offset, []):
            if not waiting.answer.done():
                waiting.answer.set_result(packed)
        self.pending.discard(offset)

    def give_up(self, offset: int, waiting: _Waiting) -> None:
        others = self.waiting.get(offset, [])
        if waiting in others:
            others.remove(waiting)
            if not others:
                del self.waiting[offset]
                self.pending.discard(offset)


class OutcomeWaiter:
    """Answers with packed outcomes by position. ``run`` it beside the requests."""

    def __init__(self, pointer: LivePointer, monotonic_s: Callable[[], float]) -> None:
        self._pointer, self._monotonic_s = pointer, monotonic_s
        self._partitions: dict[tuple[int, int], _Partition] = {}
        self._following_since_s: float | None = None
        self.listeners: list[Callable[[Outcomes], None]] = []
        """Told every batch of outcomes that comes."""

    @property
    def is_following(self) -> bool:
        """Whether outcomes are being received from the channel."""
        return self._following_since_s is not None

    async def wait(self, position: Position, timeout_s: float) -> int | None:
        """The packed outcome of a record; None when it did not become known in time."""
        partition = self._partitions.setdefault((position.era, position.partition), _Partition())
        known = partition.find(position.offset)
        if known is not None:
            return known
        waiting = _Waiting(asyncio.get_running_loop().create_future(), self._monotonic_s())
        partition.waiting.setdefault(position.offset, []).append(waiting)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiting.answer
        except TimeoutError:
            return None
        finally:
            partition.give_up(position.offset, waiting)

    async def run(self) -> None:
        """Follow the channel of the live generation, and poll for what it misses, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._poll())

    async def _follow(self) -> None:
        pause_s = RETRY_PAUSE_S
        while True:
            try:
                tiers = await self._pointer.tiers()
                await self._follow_until_swapped(tiers)
                pause_s = RETRY_PAUSE_S
            except UnavailableError as error:
                log.warning("No verdicts from the channel, the warm store is asked instead: %s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_PAUSE_MAX_S)

    async def _follow_until_swapped(self, tiers: Tiers) -> None:
        following = asyncio.create_task(self._receive(tiers))
        swapped = asyncio.create_task(self._pointer.changed(tiers))
        try:
            await asyncio.wait({following, swapped}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            self._following_since_s = None
            for task in (following, swapped):
                task.cancel()
            await asyncio.gather(following, swapped, return_exceptions=True)

    async def _receive(self, tiers: Tiers) -> None:
        async with tiers.hot.subscribe() as outcomes:
            self._following_since_s = self._monotonic_s()
            async for batch in outcomes:
                self._partitions.setdefault((batch.era, batch.partition), _Partition()).add(batch)
                for listener in self.listeners:
                    listener(batch)
        raise UnavailableError("the channel of outcomes", "it ended")

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_PERIOD_S)
            for (era, number), partition in list(self._partitions.items()):
                overdue = self._overdue(partition)
                if not overdue:
                    continue
                try:
                    await self._ask_warm((await self._pointer.tiers()).warm, era, number, overdue)
                except (UnavailableError, IntegrityError) as error:
                    log.debug("The warm store does not tell outcomes either: %s", error)

    def _overdue(self, partition: _Partition) -> list[int]:
        """Offsets whose message was missed or will not come: asked for long ago, or before the subscription."""
        missed_before_s = self._monotonic_s()
        if self._following_since_s is not None:
            missed_before_s = max(missed_before_s - PATIENCE_S, self._following_since_s)
        return [
            offset
            for offset, waiting in partition.waiting.items()
            if waiting[0].since_s <= missed_before_s and offset not in partition.pending
        ]

    async def _ask_warm(self, warm: WarmReader, era: int, number: int, offsets: list[int]) -> None:
        watermark = await warm.watermark(era, number)
        for offset in offsets:
            if watermark is not None and offset < watermark:
                packed = await warm.outcome(era, number, offset)
                if packed is not None:
                    self._partitions[era, number].tell(offset, packed)
