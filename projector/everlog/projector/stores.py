"""The warm store with patience: every call of the owner of partitions is retried in place."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from everlog.domain.redaction import Edit, Redactions
from everlog.domain.stored import Loaded, Parked, Rejection, TimelineEntry
from everlog.ports.warm import ClosedBatch, SessionWrite, WarmStore, Written
from everlog.projector.retrying import Retries


class PatientWarmStore:
    """What the projector does with a ``WarmStore``, each call as often as it takes.

    Every write of the port may be sent again. Raises ``UnavailableError`` as ``Retries`` does.
    """

    def __init__(self, store: WarmStore, retries: Retries) -> None:
        self._store, self._retries = store, retries

    async def load(self, keys: Collection[str]) -> dict[str, Loaded]:
        """The documents of those sessions that have one."""
        return await self._retries(lambda: self._store.load(keys)) if keys else {}

    async def timeline(self, key: str, first: int, last: int) -> list[TimelineEntry]:
        """The warm entries of versions ``first`` to ``last`` inclusive, in order."""
        return await self._retries(lambda: self._store.timeline(key, first, last))

    async def watermark(self, era: int, partition: int) -> int | None:
        """Every record below it is folded and stored."""
        return await self._retries(lambda: self._store.watermark(era, partition))

    async def begin(self, era: int, partition: int, offset: int) -> None:
        """Give a partition its first watermark."""
        await self._retries(lambda: self._store.begin(era, partition, offset))

    async def parked(self, partition: int) -> dict[str, Parked]:
        """The parked sessions of a partition, cold ones included."""

        async def all_parked() -> dict[str, Parked]:
            return {key: parked async for key, parked in self._store.parked(partition)}

        return await self._retries(all_parked)

    async def insert_timeline(self, entries: Sequence[tuple[str, TimelineEntry]]) -> None:
        """Insert (session key, entry)."""
        if entries:
            await self._retries(lambda: self._store.insert_timeline(entries))

    async def insert_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Insert rejections."""
        if rejections:
            await self._retries(lambda: self._store.insert_rejections(rejections))

    async def insert_edits(self, edits: Sequence[tuple[str, Edit]]) -> None:
        """Note (session key, edit)."""
        if edits:
            await self._retries(lambda: self._store.insert_edits(edits))

    async def redact(self, key: str, taken_back: Redactions) -> int:
        """Blank entries of a session; how many were not blanked yet."""
        return await self._retries(lambda: self._store.redact(key, taken_back)) if taken_back else 0

    async def write_sessions(self, writes: Sequence[SessionWrite]) -> Written:
        """Write documents onto their bases. Raises ``IntegrityError`` when acknowledged writes are gone."""
        return await self._retries(lambda: self._store.write_sessions(writes)) if writes else Written({}, frozenset())

    async def close_batch(self, batch: ClosedBatch) -> bool:
        """Store the outcomes, then move the watermark."""
        return await self._retries(lambda: self._store.close_batch(batch))

    async def delete_timeline(self, key: str, first: int, last: int) -> None:
        """Delete the entries of versions ``first`` to ``last`` inclusive."""
        await self._retries(lambda: self._store.delete_timeline(key, first, last))
