"""Repair: a session is folded anew from history, compared with what is stored, and put right where that differs.

History below a position never changes, so most of it is read and folded beside the batches of the partition; only what
came meanwhile, the comparison and the write hold its lock. A session that is parked, or only a stub, stays what it is.
"""

from __future__ import annotations

import msgspec
import structlog

from everlog.domain.stored import Loaded, StoredSession
from everlog.ports.hot import HotWrite
from everlog.ports.warm import DamagedDocumentsError, SessionWrite
from everlog.projector import metrics
from everlog.projector.owned import OwnedPartition
from everlog.projector.projection import Projection
from everlog.projector.rebuilding import Rebuild
from everlog.projector.rehydration import stub_of
from everlog.schemas.errors import EverlogError, IntegrityError

_log = structlog.get_logger(__name__)


class Repairer:
    """Compares sessions of a projection with history."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection

    async def repair(self, owned: OwnedPartition, key: str) -> bool:
        """Put a session's document, entries and hot state right; True if anything differed.

        Raises ``EverlogError`` when history cannot be read or folded: nothing is changed then.
        """
        was_damaged = await self._is_damaged(key)
        rebuild = self._projection.rebuild(key, owned.partition)
        if (before := await self._load(owned, key)) is not None:
            await rebuild.advance(before.stored.offset + 1, before.stored.timeline_from)
        async with owned.lock:
            if self._projection.owned.get(owned.partition) is not owned:
                return False
            owned.cache.take(key)
            return await self._compare(owned, key, rebuild) or was_damaged

    async def _compare(self, owned: OwnedPartition, key: str, rebuild: Rebuild) -> bool:
        loaded = await self._load(owned, key)
        if loaded is None:
            await rebuild.advance(owned.watermark)
            changed = rebuild.document
        else:
            await rebuild.advance(loaded.stored.offset + 1, loaded.stored.timeline_from)
            changed = _put_right(loaded.stored, rebuild.document)
        if changed is None and not rebuild.mended_entries:
            return False
        metrics.divergences_total.inc()
        what = {"document": changed is not None, "entries": rebuild.mended_entries}
        _log.error("a session was not what history gives, it is put right", session=key, **what)
        if changed is not None:
            write = SessionWrite(changed, loaded.base if loaded is not None else None)
            loaded = (await self._projection.write([write])).documents.get(key)
        await self._show(owned, key, loaded, rebuild)
        return True

    async def _show(self, owned: OwnedPartition, key: str, loaded: Loaded | None, rebuild: Rebuild) -> None:
        """Put the session into the hot store, which refuses another document of the same place."""
        await self._projection.hot.drop([key])
        if loaded is not None and loaded.stored.state is not None:
            owned.note(loaded.stored)
            await self._projection.hot.put([HotWrite(loaded.stored, rebuild.newest)])

    async def _is_damaged(self, key: str) -> bool:
        try:
            await self._projection.warm.load([key])
        except DamagedDocumentsError:
            return True
        return False

    async def _load(self, owned: OwnedPartition, key: str) -> Loaded | None:
        return (await self._projection.stored(owned.partition, owned.watermark, [key])).get(key)


def _put_right(stored: StoredSession, rebuilt: StoredSession | None) -> StoredSession | None:
    """The next revision of a document that is not what history gives at its position; None if it is."""
    state = rebuilt.state if rebuilt is not None else None
    if rebuilt is not None and rebuilt.parked is not None:
        raise EverlogError(
            f"the fold of {stored.key} raises {rebuilt.parked.reason} at offset {rebuilt.parked.offset} today",
            hint="The document was folded by other code: rebuild the projection",
        )
    if stored.stub is not None and state is not None:
        stub = stub_of(state)
        return msgspec.structs.replace(stored, stub=stub, revision=stored.revision + 1) if stub != stored.stub else None
    if stored.state == state:
        return None
    if state is None:
        raise IntegrityError(
            f"history has no session {stored.key}, but the warm store has one",
            hint="Check the archive with: everlog archive status",
        )
    return msgspec.structs.replace(stored, state=state, revision=stored.revision + 1)
