"""Applying batches of the log to the stores, exactly once in effect. Knows nothing of Faust.

The order of a batch, and why:

 1. The batch must begin at the watermark, and is routed to its sessions.
 2. Their documents come from the cache or, in bulk, from the warm store; a damaged one is rebuilt from history.
 3. Each session's records are judged and folded. One whose fold raises is loaded again, for its state was changed in
    place, and parked; the records of a parked session are passed over, and so are those of a stub, whose state comes
    back in the background: no session stops another.
 4. Timeline entries and rejections are inserted: readers ignore entries above the document's version, so early is
    harmless, and late would leave a version without its entry. Then redactions blank what they take back.
 5. Session documents are written onto the base that they were folded from. A moved base means that another owner was
    here: load, skip what it folded, fold the rest, write again.
 6. The outcomes are stored and the watermark moves by compare-and-set. If that fails the batch is not ours: nothing
    goes to the hot store or is published.
 7. The hot store gets the states and new entries, also of sessions that a batch before a crash had folded already; then
    the outcomes are published.
 8. The cache takes the new states. (The caller commits the group's offset, which is for dashboards.)

A crash after any step repeats the batch from step 1: inserts are there already, documents say by their position what
they hold, and carry the outcomes of it. Only a crash between 6 and 7 repeats nothing: therefore who takes a partition
over puts the sessions of what may have been the last batch into the hot store.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import structlog

from everlog.domain.fold import FoldRaisedError, ForgottenOutcomesError, SessionFold, Stretch, route
from everlog.domain.parking import fold_on, park_raised
from everlog.domain.record import LogRecord
from everlog.domain.stored import Base, Loaded, StoredSession, TimelineEntry
from everlog.ports.history import History
from everlog.ports.hot import TAIL_ENTRIES, HotWrite, Outcomes, key_mark
from everlog.ports.log import LogIdentity, LogReader
from everlog.ports.warm import ClosedBatch, DamagedDocumentsError, SessionWrite, WarmStore, Written
from everlog.projector import metrics
from everlog.projector.hot import HotSide
from everlog.projector.owned import OwnedPartition
from everlog.projector.ports import ResumeError
from everlog.projector.rebuilding import Rebuild
from everlog.projector.refreshing import refresh_last_batches
from everlog.projector.retrying import Retries, one_deadline
from everlog.projector.stores import PatientWarmStore
from everlog.projector.tracing import note_batch, stage
from everlog.schemas.errors import IntegrityError

MOVED_BASE_ROUNDS: Final = 3
"""How often a batch is folded again onto a moved base before the watermark is read anew: a zombie moves it once."""
REBUILD_ROUNDS: Final = 3
"""How often documents are found damaged, and rebuilt, in a row: once, or their store does not keep what it is given."""

_log = structlog.get_logger(__name__)


class Projection:
    """The sink of the log: one generation's fold into its stores."""

    def __init__(
        self,
        *,
        identity: LogIdentity,
        warm: WarmStore,
        hot: HotSide,
        log: LogReader,
        history: History,
        cached_sessions: int,
        mongodb: Retries,
    ) -> None:
        """``mongodb`` makes the calls of ``warm``; ``archive`` those of ``history``."""
        self.identity, self.hot, self.history = identity, hot, history
        self.warm = PatientWarmStore(warm, mongodb)
        self.archive = Retries("archive")
        self.log, self.kafka, self._cached_sessions = log, Retries("kafka"), cached_sessions
        self.owned: dict[int, OwnedPartition] = {}

    async def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """The watermark of each partition, after replaying what the log itself no longer holds."""
        watermarks = {partition: await self._take_over(partition) for partition in partitions}
        await refresh_last_batches(self, watermarks)
        return watermarks

    async def revoked(self, partitions: Sequence[int]) -> None:
        """Forget these partitions."""
        for partition in partitions:
            self.owned.pop(partition, None)

    async def apply(self, partition: int, records: Sequence[LogRecord]) -> None:
        """Fold a batch and store it in the order above, within one deadline.

        Raises ``ResumeError`` when the batch is not the next one or somebody else moved what it was folded from,
        ``UnavailableError`` when a store stays away.
        """
        owned = self.owned.get(partition)
        if owned is None or records[0].offset != owned.watermark:
            raise ResumeError(f"partition {partition}: a batch at {records[0].offset} is not the next one")
        async with owned.lock:
            try:
                with one_deadline():
                    await self._apply(owned, records)
            except BaseException:
                owned.cache.clear()
                raise

    async def verify(self, partition: int) -> None:
        """Compare the watermark with the stored one. Raises ``ResumeError`` when another one is stored."""
        owned = self.owned.get(partition)
        if owned is None:
            return
        async with owned.lock:
            await self._check_watermark(partition, owned.watermark)

    async def _take_over(self, partition: int) -> int:
        era = self.identity.era
        watermark = await self.warm.watermark(era, partition)
        if watermark is None:
            watermark = 0
            await self.warm.begin(era, partition, 0)
        bounds = await self.kafka(lambda: self.log.bounds(partition))
        owned = self.owned.setdefault(partition, OwnedPartition(partition, self._cached_sessions))
        async with owned.lock:  # a redrive may be writing: after it the scan is right
            owned.watermark = watermark
            owned.cache.clear()
            owned.parked = await self.warm.parked(partition)
        if watermark > bounds.end:
            raise IntegrityError(
                f"partition {partition} ends at {bounds.end}, below the watermark {watermark}",
                hint="The log was lost or replaced: this projection must not go on",
            )
        if watermark < bounds.start:
            _log.info("replaying from the archive", partition=partition, first=watermark, log_start=bounds.start)
            async for records in self.history.partition(partition, watermark):
                await self.apply(partition, records)
        return owned.watermark

    async def _apply(self, owned: OwnedPartition, records: Sequence[LogRecord]) -> None:
        era, partition, first = self.identity.era, owned.partition, owned.watermark
        stretch = Stretch(era, partition, first)
        with stage("load"):
            sessions, outcomes = route(records, partition, self.identity.partitions)
            loaded = await self._load(owned, list(sessions))
        with stage("fold"):
            folds = await self._fold(sessions, loaded, stretch)
        with stage("warm"):
            written, folds = await self._store(owned, folds, loaded, sessions, stretch)
            for fold in folds:
                outcomes += fold.outcomes
            packed = [outcome for _, outcome in sorted(outcomes)]
            batch = ClosedBatch(era, partition, first, first + len(records), packed)
            if not await self.warm.close_batch(batch):
                raise ResumeError(f"partition {partition}: somebody else moved the watermark {first}")
        with stage("hot"):
            final = {**loaded, **written}
            moved = [key_mark(fold.key) for fold in folds if fold.entries]
            stored = [(final[fold.key].stored, fold) for fold in folds if fold.key in final]
            await self.show(stored, Outcomes(era, partition, first, packed, moved))
        owned.watermark = batch.next
        for key, document in final.items():
            owned.cache.put(key, document)
            owned.note(document.stored)
        note_batch(len(sessions), metrics.count_batch(packed))

    async def _load(self, owned: OwnedPartition, keys: Sequence[str]) -> dict[str, Loaded]:
        """Step 2; what is cached is taken out of the cache.

        A view that was dropped or put back since the watermark was read holds documents, or none, of another
        watermark: nothing may be judged by them.
        """
        taken = {key: owned.cache.take(key) for key in keys}
        documents = {key: loaded for key, loaded in taken.items() if loaded is not None}
        missing = [key for key in keys if key not in documents]
        if missing:
            documents |= await self.stored(owned.partition, owned.watermark, missing)
            await self._check_watermark(owned.partition, owned.watermark)
        return documents

    async def _check_watermark(self, partition: int, watermark: int) -> None:
        stored = await self.warm.watermark(self.identity.era, partition)
        if stored != watermark:
            raise ResumeError(f"partition {partition}: the watermark {watermark} is stored as {stored}")

    async def stored(self, partition: int, watermark: int, keys: Sequence[str]) -> dict[str, Loaded]:
        """The documents of sessions as they lie in the warm store; damaged ones are rebuilt before."""
        for _ in range(REBUILD_ROUNDS):
            try:
                return await self.warm.load(keys)
            except DamagedDocumentsError as error:
                for key, base in error.damaged.items():
                    await self._rebuild(partition, watermark, key, base)
        raise ResumeError(f"partition {partition}: documents are damaged again as soon as they are rebuilt")

    async def _rebuild(self, partition: int, watermark: int, key: str, base: Base) -> None:
        """Write what history gives below the watermark onto a damaged document; the batches bring the rest again."""
        _log.error(
            "a warm document is damaged or of another view, it is rebuilt from history",
            session=key,
            partition=partition,
        )
        metrics.divergences_total.inc()
        rebuild = self.rebuild(key, partition)
        await rebuild.advance(watermark)
        document = rebuild.document or StoredSession(key, self.identity.era, partition, watermark - 1, None)
        document.revision = base.revision + 1
        await self.write([SessionWrite(document, base)])
        await self.hot.drop([key])

    def rebuild(self, key: str, partition: int) -> Rebuild:
        """A session that is to be folded from its first record on."""
        return Rebuild(key, self.identity.era, partition, self.warm, self.history, self.archive)

    async def tail(self, partition: int, key: str, first: int, until: int) -> list[LogRecord]:
        """A session's records from ``first`` on and below ``until`` that are on the log still."""
        if first >= until:
            return []
        found: list[LogRecord] = []
        async for records in self.log.read(partition, first, until):
            found += [record for record in records if record.key == key.encode()]
        return found

    async def _fold(
        self, sessions: Mapping[str, Sequence[LogRecord]], loaded: dict[str, Loaded], stretch: Stretch
    ) -> list[SessionFold]:
        """Step 3; ``loaded`` is brought up to date where a session is parked."""
        folds = []
        for key, records in sessions.items():
            try:
                folds.append(fold_on(key, loaded.get(key), records, stretch))
            except FoldRaisedError as error:
                folds.append(await self._park(key, records, loaded, stretch, error))
            except ForgottenOutcomesError:
                folds.append(await self._fold_anew(key, records, loaded, stretch))
        return folds

    async def _fold_anew(
        self, key: str, records: Sequence[LogRecord], loaded: dict[str, Loaded], stretch: Stretch
    ) -> SessionFold:
        """A document is ahead of the watermark: so is the stored one, or the document is of a view that is gone.

        The latter is what is left of a batch that wrote into a view just as it was put back; it is made anew.
        """
        await self._check_watermark(stretch.partition, stretch.watermark)
        await self._rebuild(stretch.partition, stretch.watermark, key, loaded.pop(key).base)
        loaded |= await self.stored(stretch.partition, stretch.watermark, [key])
        with _resuming(stretch):
            try:
                return fold_on(key, loaded.get(key), records, stretch)
            except FoldRaisedError as error:
                return await self._park(key, records, loaded, stretch, error)

    async def _park(
        self,
        key: str,
        records: Sequence[LogRecord],
        loaded: dict[str, Loaded],
        stretch: Stretch,
        error: FoldRaisedError,
    ) -> SessionFold:
        """Park a session at the record that cannot be folded, or at an earlier one if its base has moved."""
        for _ in range(MOVED_BASE_ROUNDS):
            loaded.pop(key, None)
            loaded |= await self.stored(stretch.partition, stretch.watermark, [key])
            try:
                with _resuming(stretch):
                    return park_raised(key, loaded.get(key), records, stretch, error)
            except FoldRaisedError as another:
                error = another
        raise ResumeError(f"partition {stretch.partition}: the fold of {key} raises elsewhere each time")

    async def _store(
        self,
        owned: OwnedPartition,
        folds: list[SessionFold],
        loaded: dict[str, Loaded],
        sessions: dict[str, list[LogRecord]],
        stretch: Stretch,
    ) -> tuple[dict[str, Loaded], list[SessionFold]]:
        """Steps 4 and 5; returns what lies in the store now, and the folds as they were stored in the end."""
        final = {fold.key: fold for fold in folds}
        written: dict[str, Loaded] = {}
        pending = folds
        for _ in range(MOVED_BASE_ROUNDS):
            await self.insert(pending)
            writes = [
                SessionWrite(fold.document, loaded[fold.key].base if fold.key in loaded else None)
                for fold in pending
                if fold.document is not None
            ]
            done = await self.write(writes)
            written |= done.documents
            if not done.moved:
                return written, list(final.values())
            for key in done.moved:
                loaded.pop(key, None)
            loaded |= await self.stored(owned.partition, owned.watermark, list(done.moved))
            pending = await self._fold({key: sessions[key] for key in done.moved}, loaded, stretch)
            final |= {fold.key: fold for fold in pending}
        raise ResumeError(f"partition {owned.partition}: bases move under this worker")

    async def insert(self, folds: Sequence[SessionFold]) -> None:
        """Insert the timeline entries, rejections and edits of folds, then blank what their redactions take back."""
        entries = [(fold.key, entry) for fold in folds for entry in fold.entries]
        rejections = [rejection for fold in folds for rejection in fold.rejections]
        edits = [(fold.key, edit) for fold in folds for edit in fold.edits]
        await asyncio.gather(
            self.warm.insert_timeline(entries), self.warm.insert_rejections(rejections), self.warm.insert_edits(edits)
        )
        for fold in folds:
            await self.warm.redact(fold.key, fold.redactions)

    async def show(self, stored: Sequence[tuple[StoredSession, SessionFold]], outcomes: Outcomes | None = None) -> None:
        """Put documents with a state and the entries of their folds into the hot store, then publish.

        After a redaction the tail starts anew, with what is warm: what was taken back may stand in the old one.
        """
        shown = [(document, fold) for document, fold in stored if document.state is not None]
        if redacted := [document.key for document, fold in shown if fold.redactions]:
            await self.hot.drop(redacted)
        writes = [
            HotWrite(document, await self._warm_tail(document) if fold.redactions else fold.entries)
            for document, fold in shown
        ]
        await self.hot.put(writes, outcomes)

    async def _warm_tail(self, document: StoredSession) -> Sequence[TimelineEntry]:
        return await self.warm.timeline(document.key, max(1, document.version - TAIL_ENTRIES + 1), document.version)

    async def write(self, writes: Sequence[SessionWrite]) -> Written:
        """Write documents onto their bases. Raises ``ResumeError`` when the store lost acknowledged writes."""
        try:
            return await self.warm.write_sessions(writes)
        except IntegrityError as error:
            raise ResumeError(f"the warm store lost acknowledged writes: {error}") from error


@contextlib.contextmanager
def _resuming(stretch: Stretch) -> Iterator[None]:
    """A document of another owner that is far ahead means that the watermark is, too."""
    try:
        yield
    except ForgottenOutcomesError as error:
        raise ResumeError(f"partition {stretch.partition}: somebody else went on: {error}") from error
