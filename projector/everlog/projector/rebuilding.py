"""A session's document made anew from history: its records are read and folded from the first one on, part by part.

What it comes to is what the document at the same position must be. Who owns the partition does this where a document is
damaged, or where an operator wants to know.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from everlog.domain.fold import FoldRaisedError, SessionFold, Stretch
from everlog.domain.parking import fold_on, park_raised
from everlog.domain.record import LogRecord
from everlog.domain.redaction import blanked, is_copy
from everlog.domain.stored import Base, Loaded, StoredSession, TimelineEntry, decode_stored, encode_stored
from everlog.ports.history import History
from everlog.ports.hot import TAIL_ENTRIES
from everlog.projector.retrying import Retries
from everlog.projector.stores import PatientWarmStore

PART_RECORDS: Final = 500
"""Records of a session that are in memory at once: some 500 KB, 128 MiB at the very most."""
_NO_BASE: Final = Base(0, 0)


class Rebuild:
    """One session that is being folded from its first record on."""

    def __init__(self, key: str, era: int, partition: int, warm: PatientWarmStore, history: History, archive: Retries):
        self._key, self._era, self._partition = key, era, partition
        self._warm, self._history, self._archive = warm, history, archive
        self._next = 0
        self.document: StoredSession | None = None
        """What the records so far come to; parked where one of them cannot be folded."""
        self.newest: list[TimelineEntry] = []
        """The newest entries that are warm, as many as are hot."""
        self.mended_entries = 0
        """Entries that were missing in the warm store, or were others, or not blanked."""

    async def advance(self, until: int, timeline_from: int = 1) -> None:
        """Fold the records below an offset; entries from a version on are put right in the warm store.

        Raises ``UnavailableError``, ``IntegrityError``: what history lacks is not made up.
        """
        while self._next < until:
            read = partial(self._history.records, self._key, self._next, until, PART_RECORDS)
            records = await self._archive(read)
            if records:
                fold = self._fold(records, Stretch(self._era, self._partition, until))
                self.document = fold.document or self.document
                await self._warm.insert_rejections(fold.rejections)
                await self._mend([entry for entry in fold.entries if entry.version >= timeline_from])
                await self._redact(fold)
            self._next = records[-1].offset + 1 if len(records) == PART_RECORDS else until

    def _fold(self, records: list[LogRecord], stretch: Stretch) -> SessionFold:
        blob = encode_stored(self.document) if self.document is not None else None

        def before() -> Loaded | None:
            return Loaded(decode_stored(blob), _NO_BASE) if blob is not None else None

        try:
            return fold_on(self._key, before(), records, stretch)
        except FoldRaisedError as error:
            return park_raised(self._key, before(), records, stretch, error)

    async def _mend(self, entries: list[TimelineEntry]) -> None:
        if not entries:
            return
        first, last = entries[0].version, entries[-1].version
        found = {entry.version: entry for entry in await self._warm.timeline(self._key, first, last)}
        wrong = [entry for entry in entries if not _is_right(found.get(entry.version), entry)]
        for entry in wrong:
            if entry.version in found:
                await self._warm.delete_timeline(self._key, entry.version, entry.version)
        await self._warm.insert_timeline([(self._key, entry) for entry in wrong])
        self.mended_entries += len(wrong)
        self.newest = [*self.newest, *entries][-TAIL_ENTRIES:]

    async def _redact(self, fold: SessionFold) -> None:
        """Blank what the records took back; what was blanked before its redaction is reached counts as right."""
        await self._warm.insert_edits([(self._key, edit) for edit in fold.edits])
        self.mended_entries += await self._warm.redact(self._key, fold.redactions)
        self.newest = [blanked(entry, fold.redactions) for entry in self.newest] if fold.redactions else self.newest


def _is_right(found: TimelineEntry | None, entry: TimelineEntry) -> bool:
    return found is not None and is_copy(found, entry)
