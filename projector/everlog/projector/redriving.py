"""Redrive: a parked session is folded on with the code of today, and a cold one gets its state back.

Archive and log are read beside the batches of the partition; only what is written then holds its lock. In order, for
``PART_RECORDS`` of what was passed over at a time:

 1. Without the lock: the document, the state of a stub from the archive, the next records that were passed over.
 2. With the lock: the document again, and behind the last of them from the log what was passed over meanwhile. All of
    it is folded; while more wait, the session stays parked, at the first of those.
 3. Entries and rejections are inserted, redactions carried out, the document is written onto its base, the hot store
    gets it: as in a batch. A base that has moved means that another owner was here; nothing is done then.
 4. In the end, without the lock: the newest outcomes are published one by one, for those who still wait.

A crash before the document's write changes nothing, one after it leaves a session that goes on: batches that come
again find its outcomes in the document, readers that find it parked in the hot store look in the warm one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import structlog

from everlog.domain.fold import SessionFold, Stretch
from everlog.domain.parking import redriven
from everlog.domain.record import LogRecord
from everlog.domain.state import State
from everlog.domain.stored import Loaded, Parked
from everlog.domain.verdicts import PENDING
from everlog.ports.hot import Outcomes
from everlog.ports.warm import SessionWrite
from everlog.projector import metrics
from everlog.projector.owned import OwnedPartition
from everlog.projector.projection import Projection
from everlog.projector.rebuilding import PART_RECORDS
from everlog.projector.rehydration import rehydrate

CONCURRENT_RETURNS: Final = 8
"""Cold sessions that are read from the archive at once: hides its latency, and bounds what is in memory."""
PUBLISHED_MAX: Final = 1_000
"""Newest outcomes of a redrive that are published: nobody waits longer than 30 s, and each costs a round trip."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
"""Pauses before a cold session that could not be brought back is tried again, doubled each time."""

_log = structlog.get_logger(__name__)


class _Failed(NamedTuple):
    """A cold session that could not be brought back: how long to wait, and until when (monotonic)."""

    pause_s: float
    until_s: float


class Redriver:
    """Folds parked sessions of a projection on: cold ones by itself, others when asked."""

    def __init__(
        self,
        projection: Projection,
        poll_s: float,
        now_ms: Callable[[], int],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """``now_ms`` tells the time, milliseconds since 1970; every ``poll_s`` cold sessions are looked for."""
        self._projection, self._poll_s = projection, poll_s
        self._now_ms, self._monotonic_s = now_ms, monotonic_s
        self._places = asyncio.Semaphore(CONCURRENT_RETURNS)
        self._returning: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, _Failed] = {}

    async def run(self) -> None:
        """Bring cold sessions back and measure the parked ones, until cancelled."""
        try:
            while True:
                self.measure()
                self._begin()
                await asyncio.sleep(self._poll_s)
        finally:
            for task in self._returning.values():
                task.cancel()
            await self._all_returned()

    async def bring_back(self) -> None:
        """Bring back the cold sessions that there are now, as far as they can be."""
        self._begin()
        await self._all_returned()

    def measure(self) -> None:
        """Tell how many sessions are parked and since when; cold ones only lag."""
        since = [one.since_ms for owned in self._projection.owned.values() for one in _raised(owned)]
        metrics.parked_sessions.set(len(since))
        metrics.parked_oldest_seconds.set(max(0, self._now_ms() - min(since)) / 1000 if since else 0)

    async def redrive(self, owned: OwnedPartition, key: str) -> bool:
        """Fold a parked session on, in the order above; True if it is parked no more.

        Raises ``EverlogError`` when it cannot be read or written: it stays as far as it has come then.
        """
        told: deque[tuple[int, int]] = deque(maxlen=PUBLISHED_MAX)
        try:
            while (goes_on := await self._part(owned, key, told)) is None:
                pass
        finally:
            era, partition = self._projection.identity.era, owned.partition
            await self._projection.hot.publish([Outcomes(era, partition, offset, [packed]) for offset, packed in told])
        return goes_on

    async def _part(self, owned: OwnedPartition, key: str, told: deque[tuple[int, int]]) -> bool | None:
        """One part, its outcomes added to those to tell; whether the session goes on, None while more waits."""
        loaded = await self._load(owned, key)
        if loaded is None or loaded.stored.parked is None:
            await self._forget(owned, key)
            return False
        parked, history, archive = loaded.stored.parked, self._projection.history, self._projection.archive
        state = (await archive(partial(rehydrate, loaded, history))).stored.state
        records = await archive(partial(history.records, key, parked.offset, parked.seen + 1, PART_RECORDS + 1))
        async with owned.lock:
            if self._projection.owned.get(owned.partition) is not owned:
                return False
            fold = await self._write(owned, key, parked, state, records)
        if fold is None or fold.document is None:
            return False
        outcomes = [(offset, packed) for offset, packed in fold.outcomes if packed != PENDING]
        metrics.count_verdicts([packed for _, packed in outcomes])
        told += outcomes
        waits = fold.document.parked
        return None if waits is not None and waits.offset == _goes_on_at(records, parked) else waits is None

    async def _write(
        self, owned: OwnedPartition, key: str, parked: Parked, state: State | None, records: list[LogRecord]
    ) -> SessionFold | None:
        """Steps 2 and 3; None when there is nothing to do, or somebody else has done it."""
        owned.cache.take(key)
        loaded = await self._load(owned, key)
        now = loaded.stored.parked if loaded is not None else None
        if loaded is None or now is None or (now.offset, now.reason) != (parked.offset, parked.reason):
            return None
        if loaded.stored.stub is not None:
            loaded.stored.state, loaded.stored.stub = state, None
        goes_on_at = _goes_on_at(records, parked)
        if goes_on_at is None:
            records += await self._projection.tail(owned.partition, key, parked.seen + 1, now.seen + 1)
        stretch = Stretch(loaded.stored.era, owned.partition, owned.watermark)
        fold = redriven(key, loaded, records, stretch, is_part=goes_on_at is not None)
        if fold.document is None:
            return fold
        await self._projection.insert([fold])
        written = (await self._projection.write([SessionWrite(fold.document, loaded.base)])).documents.get(key)
        if written is None:
            return None
        await self._projection.show([(written.stored, fold)])
        owned.cache.put(key, written)
        if (waits := written.stored.parked) is not None and waits.offset == goes_on_at:
            owned.parked[key] = waits
        else:
            owned.note(written.stored)
        return fold

    async def _forget(self, owned: OwnedPartition, key: str) -> None:
        """Somebody else has folded it on: look again while no batch may park it."""
        async with owned.lock:
            loaded = await self._load(owned, key)
            if loaded is None or loaded.stored.parked is None:
                owned.parked.pop(key, None)

    async def _load(self, owned: OwnedPartition, key: str) -> Loaded | None:
        return (await self._projection.stored(owned.partition, owned.watermark, [key])).get(key)

    def _begin(self) -> None:
        """Begin to bring back every cold session that is due and is not on its way."""
        cold = {
            key: owned
            for owned in self._projection.owned.values()
            for key, parked in owned.parked.items()
            if parked.is_cold
        }
        now_s = self._monotonic_s()
        self._failed = {key: failed for key, failed in self._failed.items() if key in cold}
        for key, owned in cold.items():
            if key not in self._returning and (key not in self._failed or self._failed[key].until_s <= now_s):
                self._returning[key] = asyncio.create_task(self._return(owned, key))

    async def _return(self, owned: OwnedPartition, key: str) -> None:
        """Bring one back; whatever goes wrong stops nobody else."""
        try:
            async with self._places:
                await self.redrive(owned, key)
            self._failed.pop(key, None)
        except Exception as error:
            failed = self._failed.get(key)
            pause_s = min(2 * failed.pause_s, LONGEST_PAUSE_S) if failed is not None else FIRST_PAUSE_S
            self._failed[key] = _Failed(pause_s, self._monotonic_s() + pause_s)
            _log.warning("a cold session cannot be brought back yet", session=key, error=type(error).__name__)
        finally:
            del self._returning[key]

    async def _all_returned(self) -> None:
        await asyncio.gather(*self._returning.values(), return_exceptions=True)


def _raised(owned: OwnedPartition) -> list[Parked]:
    return [parked for parked in owned.parked.values() if not parked.is_cold]


def _goes_on_at(records: list[LogRecord], parked: Parked) -> int | None:
    """Where a session waits when the records are only a part of what was passed over; None if they are all."""
    last = records[-1].offset if len(records) > PART_RECORDS else parked.seen
    return last if last < parked.seen else None
