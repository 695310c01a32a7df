"""Log, archive and stores in memory, and the services over them: everything real but the machines."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Collection
from typing import Any

from everlog.adapters.archive import ManifestStore, SegmentStore
from everlog.adapters.memory.control import MemoryControlStore
from everlog.adapters.memory.hot import MemoryHotStore
from everlog.adapters.memory.log import MemoryLog
from everlog.adapters.memory.objects import MemoryObjectStore
from everlog.adapters.memory.warm import MemoryWarmStore
from everlog.archiver.measuring import ArchiveMeter
from everlog.archiver.proving import Prover
from everlog.archiver.sealing import Sealer
from everlog.archiver.service import Archiver
from everlog.archiver.settings import ArchiverSettings
from everlog.archiver.trimming import Trimmer
from everlog.domain.state import state_hash
from everlog.domain.stored import StoredSession
from everlog.domain.verdicts import PENDING
from everlog.ports.control import Request, RequestKind
from everlog.ports.log import LogIdentity
from everlog.projector.hot import HotSide
from everlog.projector.ports import ResumeError
from everlog.projector.projection import Projection
from everlog.projector.redriving import Redriver
from everlog.projector.requests import RequestRunner
from everlog.projector.retrying import Retries
from everlog.projector.stores import PatientWarmStore
from everlog.replay.archive import ArchiveReader
from everlog.replay.history import ArchiveThenLog
from support.conversations import PARTITION, PARTITIONS, Truth
from support.watched import Watch, silent

RESUMES_MAX = 10
BATCH = 7
ROOT = "everlog"


class World:
    """The stores of one generation over a log; another world may follow the same log."""

    def __init__(self, log: MemoryLog | None = None) -> None:
        self.now_ms = 1_790_000_000_000
        self.log = log or MemoryLog(PARTITIONS, clock=lambda: self.now_ms)
        self.identity = LogIdentity("memory", "everlog.events", 0, PARTITIONS)
        self.objects = MemoryObjectStore()
        self.warm = MemoryWarmStore(now_ms=lambda: self.now_ms)
        self.hot = MemoryHotStore(1)
        self.control = MemoryControlStore()
        self._ids, self._looks = itertools.count(1), itertools.count()

    async def begin(self) -> World:
        """What ``everlog init`` does."""
        await self.control.initialise(self.identity)
        return self

    def archive(self, watch: Watch | None = None) -> tuple[ManifestStore, SegmentStore]:
        """The archive's manifests and segments."""
        objects = (watch or silent()).over(self.objects)
        return ManifestStore(objects, ROOT), SegmentStore(objects, ROOT)

    def history(self, watch: Watch | None = None, objects: Watch | None = None) -> ArchiveThenLog:
        """Replay; ``watch`` sees the calls of the log, ``objects`` those of the object store."""
        reader = ArchiveReader(*self.archive(objects), self.identity.era)
        return ArchiveThenLog(self.identity, reader, (watch or silent()).over(self.log))

    async def projection(self, watch: Watch | None = None, *, cached_sessions: int = 100) -> Projection:
        """A projector's sink with nothing in memory; ``watch`` sees the calls of log, warm, hot and control store."""
        watch = watch or silent()
        epoch, mongodb = await self.control.hot_epoch(1), Retries("mongodb", self.later)
        return Projection(
            identity=self.identity,
            warm=watch.over(self.warm),
            hot=HotSide(watch.over(self.hot), epoch, watch.over(self.control), 1, mongodb),
            log=watch.over(self.log),
            history=self.history(),
            cached_sessions=cached_sessions,
            mongodb=mongodb,
        )

    def patient(self, watch: Watch) -> PatientWarmStore:
        """The warm store as a projection has it, watched from now on."""
        return PatientWarmStore(watch.over(self.warm), Retries("mongodb", self.later))

    async def follow(self, projection: Projection, *, batch: int = BATCH, partition: int = PARTITION) -> None:
        """Do what the worker does: batch by batch to the log's end, resuming where it must."""
        position = (await projection.assigned([partition]))[partition]
        resumes = 0
        while position < (end := (await self.log.bounds(partition)).end):
            try:
                async for records in self.log.read(partition, position, min(end, position + batch)):
                    await projection.apply(partition, records)
                    position += len(records)
            except ResumeError:
                resumes += 1
                if resumes > RESUMES_MAX:
                    raise
                position = (await projection.assigned([partition]))[partition]

    async def project(self, *, batch: int = BATCH, partition: int = PARTITION) -> Projection:
        """Follow the log to its end with a fresh projection."""
        projection = await self.projection()
        await self.follow(projection, batch=batch, partition=partition)
        return projection

    def archiver(self, *, writer: str = "w1", watch: Watch | None = None, **settings: Any) -> Archiver:
        """An archiver; ``watch`` sees the calls of the log, its trimmer, the object store and the control store."""
        watch = watch or silent()
        log, chosen = watch.over(self.log), ArchiverSettings(**settings)
        manifests, segments = self.archive(watch)
        return Archiver(
            identity=self.identity,
            log=log,
            manifests=manifests,
            sealer=Sealer(log, manifests, segments, chosen, self.clock),
            prover=Prover(log, manifests, segments, self.clock),
            trimmer=Trimmer(log, log, watch.over(self.control), [watch.over(self.warm)], self.clock),
            meter=ArchiveMeter(log, self.clock),
            settings=chosen,
            writer=writer,
        )

    def later(self) -> float:
        """A clock of seconds that is so late at each look that no breaker refuses a call."""
        return next(self._looks) * 60.0

    def clock(self) -> int:
        """The time, milliseconds since 1970."""
        return self.now_ms

    async def seal(self, *, segment_events: int = 10) -> None:
        """Archive and prove everything that is on the log."""
        archiver = self.archiver(segment_events=segment_events)
        await archiver.seal(everything=True)
        await archiver.prove()

    async def seal_and_trim(self, *, segment_events: int = 10) -> None:
        """Archive everything and trim the log as far as it may be."""
        await self.seal(segment_events=segment_events)
        await self.archiver().trim(window_s=0)

    def damage_segments(self) -> None:
        """Flip a bit of every segment's rows, behind everyone's back."""
        for key in self.objects.all_keys():
            if key.endswith(".parquet"):
                data = self.objects.peek(key)
                self.objects.damage(key, data[:100] + bytes([data[100] ^ 1]) + data[101:])

    async def proved_offset(self, partition: int = PARTITION) -> int:
        """Up to where a partition is proved."""
        manifest = await self.archive()[0].load(self.identity.era, partition)
        return manifest.trim_ok_offset if manifest is not None else 0

    async def ask(
        self, projection: Projection, kind: RequestKind, keys: list[str], *, keep_entries: int = 0
    ) -> Request:
        """Leave a request of the first partition, let the worker carry out what waits; the request as it stands."""
        request = Request(
            id=f"r{next(self._ids)}",
            generation=1,
            partition=PARTITION,
            kind=kind,
            sessions=keys,
            proved_offset=await self.proved_offset(),
            keep_entries=keep_entries,
        )
        await self.control.submit(request)
        await self.runner(projection).run_once()
        found = await self.control.request(request.id)
        assert found is not None
        return found

    def runner(self, projection: Projection, watch: Watch | None = None) -> RequestRunner:
        """What carries out requests beside a projection; ``watch`` sees the calls of the control store."""
        control = (watch or silent()).over(self.control)
        return RequestRunner(projection, self.redriver(projection), control, 1, poll_s=0.01)

    def redriver(self, projection: Projection) -> Redriver:
        """What folds parked sessions on beside a projection."""
        return Redriver(projection, 0.01, self.clock)

    async def stored(self, key: str) -> StoredSession:
        """A session's warm document."""
        return (await self.warm.load([key]))[key].stored

    async def hot_documents(self, keys: list[str]) -> AsyncIterator[StoredSession]:
        """What readers find hot of sessions."""
        hot = self.hot.at_epoch((await self.control.live()).hot_epoch)
        for key in keys:
            document = await hot.get(key)
            if document is not None:
                yield document


async def assert_projected(
    world: World, truth: Truth, partition: int = PARTITION, *, pending: Collection[int] = ()
) -> None:
    """Warm and hot store say of a partition what the law says, and nothing else.

    Of ``pending`` offsets, at which a session was parked once, the outcomes may still say so.
    """
    await assert_warm(world, truth, partition, pending=pending)
    async for document in world.hot_documents(list(truth.hashes)):
        assert digest(document) == truth.hashes[document.key], "the hot store shows an older state"


async def assert_warm(world: World, truth: Truth, partition: int = PARTITION, *, pending: Collection[int] = ()) -> None:
    """The warm store says of a partition what the law says, and nothing else."""
    era, end = world.identity.era, len(truth.outcomes)
    assert await world.warm.watermark(era, partition) == end
    outcomes = [await world.warm.outcome(era, partition, at) for at in range(end + 1)]
    for at in pending:
        assert outcomes[at] in (PENDING, truth.outcomes[at])
    assert [outcome for at, outcome in enumerate(outcomes) if at not in pending] == [
        outcome for at, outcome in enumerate([*truth.outcomes, None]) if at not in pending
    ]
    assert not [key async for key, _ in world.warm.parked(partition)]
    keys = list(truth.hashes)
    stored = {key: document.stored for key, document in (await world.warm.load(keys)).items()}
    assert {key: digest(document) for key, document in stored.items()} == truth.hashes
    for key, entries in truth.shown.items():
        assert await world.warm.timeline(key, 1, len(entries) + 1) == entries[stored[key].timeline_from - 1 :]
    for name, offset in truth.rejected.items():
        rejection = await world.warm.rejection(*name.split("#", 1))
        assert rejection is not None and rejection.offset == offset


def digest(document: StoredSession) -> str:
    """The hash of a document's state, or the one that its stub keeps."""
    if document.state is not None:
        return state_hash(document.state)
    assert document.stub is not None
    return document.stub.state_hash
