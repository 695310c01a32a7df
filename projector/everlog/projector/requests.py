"""Requests: eviction, rehydration, redrive and repair, carried out by a partition's owner between two batches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from everlog.domain.stored import Loaded, StoredSession
from everlog.ports.control import ControlStore, Request
from everlog.ports.hot import HotWrite
from everlog.ports.warm import SessionWrite
from everlog.projector import metrics
from everlog.projector.owned import OwnedPartition
from everlog.projector.projection import Projection
from everlog.projector.redriving import Redriver
from everlog.projector.rehydration import rehydrate, stub_of
from everlog.projector.repairing import Repairer
from everlog.schemas.errors import EverlogError, UnavailableError

PAGE_ENTRIES: Final = 1_000
"""Timeline entries that are looked at together when the newest proved version is sought."""
CONCURRENT_REHYDRATIONS: Final = 8
"""Sessions whose objects are read at once: hides the store's latency, and bounds what is in memory."""

Work = Callable[[OwnedPartition, str], Awaitable[bool]]
"""What is done to one session of a partition, which is not locked; whether it was changed."""

_log = structlog.get_logger(__name__)


class RequestRunner:
    """Looks for requests that wait for this worker's partitions, and carries them out."""

    def __init__(
        self, projection: Projection, redriver: Redriver, control: ControlStore, generation: int, poll_s: float
    ) -> None:
        self._projection, self._redriver, self._control = projection, redriver, control
        self._generation, self._poll_s = generation, poll_s
        self._kinds: dict[str, Callable[[OwnedPartition, Request], Awaitable[int]]] = {
            "evict_timeline": self._evict_timelines,
            "evict_session": self._evict_sessions,
            "rehydrate": self._rehydrate,
        }
        self._beside: dict[str, Work] = {"redrive": redriver.redrive, "repair": Repairer(projection).repair}

    async def run(self) -> None:
        """Carry out requests until cancelled; an unavailable control store is asked again later."""
        while True:
            with contextlib.suppress(UnavailableError):
                await self.run_once()
            await asyncio.sleep(self._poll_s)

    async def run_once(self) -> None:
        """Carry out what waits now."""
        for request in await self._control.waiting(self._generation, list(self._projection.owned)):
            owned = self._projection.owned.get(request.partition)
            if owned is None:
                continue
            done: int | None = 0
            failure = None
            try:
                done = await self._carry_out(owned, request)
            except EverlogError as error:
                failure = str(error)
                _log.warning("request failed", kind=request.kind, partition=request.partition, error=failure)
            if done is not None:
                await self._control.finish(request.id, done, failure)

    async def _carry_out(self, owned: OwnedPartition, request: Request) -> int | None:
        """How many sessions were changed; None when the partition was taken away before: its new owner is asked.

        A redrive or a repair reads much, and locks the partition only to write.
        """
        if (work := self._beside.get(request.kind)) is not None:
            return await self._each(owned, request, work)
        async with owned.lock:
            if self._projection.owned.get(request.partition) is not owned:
                return None  # it was taken away while its last batch ran
            try:
                return await self._kinds[request.kind](owned, request)
            except EverlogError:
                owned.cache.clear()
                raise

    async def _each(self, owned: OwnedPartition, request: Request, work: Work) -> int | None:
        """Work on some sessions at a time, as far as today's code can; counts those that it says were changed.

        One that cannot fails the request and holds up no other; nor may a bug end the worker again and again.
        """
        places = asyncio.Semaphore(CONCURRENT_REHYDRATIONS)

        async def work_on(key: str) -> bool:
            async with places:
                try:
                    changed = await work(owned, key)
                except EverlogError:
                    raise
                except Exception as error:
                    raise EverlogError(f"the {request.kind} of {key} raised {type(error).__name__}") from error
            _log.info(request.kind, session=key, why=request.reason, changed=changed)
            return changed

        results = await asyncio.gather(*(work_on(key) for key in request.sessions), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        if self._projection.owned.get(request.partition) is not owned:
            return None
        return sum(result is True for result in results)

    async def _evict_timelines(self, owned: OwnedPartition, request: Request) -> int:
        """Entries of proved records leave."""
        loaded = await self._load(owned, request)
        ends = {key: await self._last_proved(document.stored, request) for key, document in loaded.items()}
        changed = {
            key: _changed(document.stored, timeline_from=ends[key] + 1)
            for key, document in loaded.items()
            if ends[key] >= document.stored.timeline_from
        }
        written = await self._evict(loaded, changed)
        await self._projection.hot.put([HotWrite(document.stored, ()) for document in written.values()])
        metrics.evictions_total.labels("timeline").inc(len(written))
        return len(written)

    async def _evict_sessions(self, owned: OwnedPartition, request: Request) -> int:
        """Whole sessions leave but for a stub, if all their records are proved."""
        loaded = await self._load(owned, request)
        changed = {
            key: _changed(document.stored, state=None, stub=stub_of(state), timeline_from=document.stored.version + 1)
            for key, document in loaded.items()
            if (state := document.stored.state) is not None and document.stored.offset < request.proved_offset
        }
        written = await self._evict(loaded, changed)
        await self._projection.hot.drop(list(written))
        metrics.evictions_total.labels("session").inc(len(written))
        return len(written)

    async def _rehydrate(self, owned: OwnedPartition, request: Request) -> int:
        """States of stubs come back; one that cannot fails the request and holds up no other."""
        loaded = await self._load(owned, request)
        stubs = [document for document in loaded.values() if document.stored.stub is not None]
        places = asyncio.Semaphore(CONCURRENT_REHYDRATIONS)

        async def bring_back(document: Loaded) -> StoredSession:
            async with places:
                return _changed((await rehydrate(document, self._projection.history)).stored)

        results = await asyncio.gather(*(bring_back(document) for document in stubs), return_exceptions=True)
        changed = {result.key: result for result in results if not isinstance(result, BaseException)}
        written = await self._write(loaded, changed)
        await self._projection.hot.put([HotWrite(document.stored, ()) for document in written.values()])
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(written)

    async def _evict(self, loaded: dict[str, Loaded], changed: dict[str, StoredSession]) -> dict[str, Loaded]:
        """First the documents say that entries are gone, then the entries go: no reader looks for one in vain.

        A crash in between leaves entries that nobody reads; the same request, carried out again, finds them.
        """
        written = await self._write(loaded, changed)
        for key, document in {**loaded, **written}.items():
            if document.stored.timeline_from > 1:
                last = document.stored.timeline_from - 1
                await self._projection.warm.delete_timeline(key, 1, last)
        return written

    async def _load(self, owned: OwnedPartition, request: Request) -> dict[str, Loaded]:
        """The documents as they are stored, stubs included, those of parked sessions not: they stay as they are.

        The cache forgets them.
        """
        for key in request.sessions:
            owned.cache.take(key)
        loaded = await self._projection.stored(owned.partition, owned.watermark, request.sessions)
        return {key: document for key, document in loaded.items() if document.stored.parked is None}

    async def _write(self, loaded: dict[str, Loaded], changed: dict[str, StoredSession]) -> dict[str, Loaded]:
        """Write changed documents onto their bases; what was moved meanwhile is left as it is."""
        writes = [SessionWrite(document, loaded[key].base) for key, document in changed.items()]
        return (await self._projection.write(writes)).documents

    async def _last_proved(self, stored: StoredSession, request: Request) -> int:
        """The newest version that may leave: proved, and not among those that stay warm."""
        newest = stored.version - request.keep_entries
        if stored.offset < request.proved_offset:
            return newest
        last = stored.timeline_from - 1
        while last < newest:
            page = await self._projection.warm.timeline(stored.key, last + 1, min(newest, last + PAGE_ENTRIES))
            proved = [entry.version for entry in page if entry.offset < request.proved_offset]
            if not proved:
                break
            last = proved[-1]
        return last


def _changed(stored: StoredSession, **changes: object) -> StoredSession:
    """The next revision of a document."""
    return msgspec.structs.replace(stored, revision=stored.revision + 1, **changes)
