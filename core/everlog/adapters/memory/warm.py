"""The warm store in memory. Documents are kept as bytes, so that a state changed in place changes nothing here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import NamedTuple

import msgspec

from everlog.domain.redaction import Edit, Redactions, blanked
from everlog.domain.searching import Found, Query, found_by
from everlog.domain.stored import (
    Base,
    Loaded,
    Parked,
    Rejection,
    StoredSession,
    TimelineEntry,
    checksum,
    decode_stored,
    encode_stored,
)
from everlog.ports.warm import ClosedBatch, DamagedDocumentsError, Hit, Idle, SessionWrite, Written
from everlog.schemas.errors import IntegrityError


class _Document(NamedTuple):
    blob: bytes
    base: Base
    written_at_ms: int
    clear: StoredSession
    """What can be read without its blob, which may be damaged: all but the state."""
    version: int
    found: Found | None


class MemoryWarmStore:
    """A ``WarmStore``. ``now_ms`` tells the time of writing, milliseconds since 1970."""

    def __init__(self, *, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._documents: dict[str, _Document] = {}
        self._timeline: dict[str, dict[int, TimelineEntry]] = {}
        self._edits: dict[str, set[Edit]] = {}
        self._rejections: dict[str, Rejection] = {}
        self._outcomes: dict[tuple[int, int, int], int] = {}
        self._watermarks: dict[tuple[int, int], int] = {}

    async def load(self, keys: Collection[str]) -> dict[str, Loaded]:
        """The documents of those sessions that have one. Raises ``DamagedDocumentsError``."""
        found = {key: self._documents[key] for key in keys if key in self._documents}
        damaged = {key: held.base for key, held in found.items() if checksum(held.blob) != held.base.checksum}
        if damaged:
            raise DamagedDocumentsError(damaged, f"the document of {next(iter(damaged))} fails its checksum")
        return {key: Loaded(decode_stored(held.blob), held.base) for key, held in found.items()}

    async def versions(self, keys: Collection[str]) -> dict[str, int]:
        """The versions of those sessions that have a document."""
        return {key: self._documents[key].version for key in keys if key in self._documents}

    async def search(self, query: Query) -> list[Hit]:
        """The sessions that a query finds, the latest updated first."""
        order = [
            (held.found.updated_ms, key)
            for key, held in self._documents.items()
            if held.found is not None and query.finds(key, held.found)
        ]
        order.sort(reverse=True)
        return [Hit(key, updated_ms, self._whole(key)) for updated_ms, key in order[: query.limit]]

    def _whole(self, key: str) -> StoredSession | None:
        blob, base = self._documents[key][:2]
        return decode_stored(blob) if checksum(blob) == base.checksum else None

    async def timeline(self, key: str, first: int, last: int) -> list[TimelineEntry]:
        """The warm entries of versions ``first`` to ``last`` inclusive, in order."""
        entries = self._timeline.get(key, {})
        return [entries[version] for version in range(first, last + 1) if version in entries]

    async def rejection(self, key: str, event_id: str) -> Rejection | None:
        """The first rejection of an event id."""
        return self._rejections.get(f"{key}#{event_id}")

    async def watermark(self, era: int, partition: int) -> int | None:
        """Every record below it is folded and stored."""
        return self._watermarks.get((era, partition))

    async def outcome(self, era: int, partition: int, offset: int) -> int | None:
        """The packed outcome of a record."""
        return self._outcomes.get((era, partition, offset))

    async def write_sessions(self, writes: Sequence[SessionWrite]) -> Written:
        """Write documents onto their bases. Raises ``IntegrityError`` when acknowledged writes are gone."""
        results = {write.document.key: self._write(write) for write in writes}
        documents = {
            write.document.key: Loaded(write.document, base)
            for write in writes
            if (base := results[write.document.key]) is not None
        }
        return Written(documents, frozenset(key for key, base in results.items() if base is None))

    def _write(self, write: SessionWrite) -> Base | None:
        """The base that the next write will find; None for a moved one."""
        key, blob = write.document.key, encode_stored(write.document)
        ours = Base(write.document.revision, checksum(blob))
        current = self._documents.get(key)
        found = current.base if current is not None else None
        if found == write.base:
            now_ms, clear = self._now_ms(), msgspec.structs.replace(write.document, state=None)
            by = found_by(write.document, now_ms)
            self._documents[key] = _Document(blob, ours, now_ms, clear, write.document.version, by)
        elif found != ours:
            if write.base is not None and (found is None or found.revision <= write.base.revision):
                raise IntegrityError(f"the document of {key} is older than its base, or missing")
            return None
        return ours

    async def insert_timeline(self, entries: Sequence[tuple[str, TimelineEntry]]) -> None:
        """Insert (session key, entry)."""
        for key, entry in entries:
            self._timeline.setdefault(key, {}).setdefault(entry.version, entry)

    async def insert_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Insert rejections."""
        for rejection in rejections:
            self._rejections.setdefault(rejection.id, rejection)

    async def insert_edits(self, edits: Sequence[tuple[str, Edit]]) -> None:
        """Note (session key, edit)."""
        for key, edit in edits:
            self._edits.setdefault(key, set()).add(edit)

    async def redact(self, key: str, taken_back: Redactions) -> int:
        """Blank entries."""
        messages, entries = {message for message, _ in taken_back}, self._timeline.get(key, {})
        edited = {edit.version for edit in self._edits.get(key, ()) if edit.message in messages}
        changed = {version: blanked(entries[version], taken_back) for version in entries.keys() & (messages | edited)}
        changed = {version: entry for version, entry in changed.items() if entry != entries[version]}
        entries |= changed
        return len(changed)

    async def close_batch(self, batch: ClosedBatch) -> bool:
        """Store the outcomes, then move the watermark."""
        for offset, outcome in enumerate(batch.outcomes, batch.first):
            self._outcomes.setdefault((batch.era, batch.partition, offset), outcome)
        place = batch.era, batch.partition
        if self._watermarks.get(place) == batch.first:
            self._watermarks[place] = batch.next
        return self._watermarks.get(place) == batch.next

    async def begin(self, era: int, partition: int, offset: int) -> None:
        """Drop the partition's documents, then give it its first watermark; nothing if it has one."""
        if (era, partition) in self._watermarks:
            return
        for key in [key for key, document in self._documents.items() if document.clear.partition == partition]:
            del self._documents[key]
        self._watermarks[era, partition] = offset

    async def delete_timeline(self, key: str, first: int, last: int) -> None:
        """Delete the entries of versions ``first`` to ``last`` inclusive, and what is noted of them."""
        entries = self._timeline.get(key, {})
        for version in range(first, last + 1):
            entries.pop(version, None)
        edits = self._edits.get(key, set())
        edits -= {edit for edit in edits if first <= edit.version <= last}

    async def idle(self, before_ms: int, *, stubs: bool = False) -> AsyncIterator[Idle]:
        """Sessions whose document was last written before that time."""
        for key, document in list(self._documents.items()):
            stored = document.clear
            if document.written_at_ms < before_ms and (stubs or stored.stub is None):
                yield Idle(key, stored.era, stored.partition, stored.offset)

    async def parked(self, partition: int) -> AsyncIterator[tuple[str, Parked]]:
        """The parked sessions of a partition."""
        for key, document in list(self._documents.items()):
            stored = document.clear
            if stored.partition == partition and stored.parked is not None:
                yield key, stored.parked

    def damage(self, key: str) -> None:
        """Change a byte of a document behind everyone's back: for tests of proofs."""
        document = self._documents[key]
        self._documents[key] = document._replace(blob=bytes([document.blob[0] ^ 1]) + document.blob[1:])
