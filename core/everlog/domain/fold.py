"""Folding a stretch of a partition: records grouped by session, each session folded in order of offset.

A record is judged once: what a document's position says was folded is skipped, and its outcome taken from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from everlog.domain.event import Event, Malformed, UnknownRules
from everlog.domain.law import LAW, UnknownRulesError
from everlog.domain.messages import Place
from everlog.domain.record import LogRecord, partition_of
from everlog.domain.redaction import CHANGING, Edit, Redactions, edits, redactions
from everlog.domain.state import State
from everlog.domain.stored import Loaded, Rejection, StoredSession, TimelineEntry, encode_stored, rejection_of
from everlog.domain.verdicts import FOREIGN, Accepted, Reason, Rejected, pack
from everlog.schemas.errors import EverlogError, IntegrityError
from everlog.schemas.identifiers import well_formed_key

DOCUMENT_BYTES_MAX: Final = 15 << 20
"""An encoded session document at most: MongoDB takes 16 MiB with all that lies beside it (BSON limit), and parking adds
outcomes and a place to what was measured. The law bounds everything in it but the roster of those who left."""
DETAIL_CHARACTERS: Final = 512
"""What is kept of why a value is no event: a line. The decoder names fields, and a name may fill a whole record."""


class Stretch(msgspec.Struct, frozen=True):
    """Which records are folded: a partition of an era, and the watermark that they begin at."""

    era: int
    partition: int
    watermark: int


class SessionFold(msgspec.Struct):
    """What one session's records of a stretch come to.

    ``document`` is None where nothing is to be stored: no session, or all records were folded before.
    """

    key: str
    document: StoredSession | None
    entries: list[TimelineEntry]
    rejections: list[Rejection]
    outcomes: list[tuple[int, int]]
    """(offset, packed outcome) of each of its records."""
    edits: list[Edit] = []
    redactions: Redactions = {}


class ForgottenOutcomesError(IntegrityError):
    """A document is ahead of the watermark and lacks outcomes from there on: the watermark has moved meanwhile."""


class FoldRaisedError(EverlogError):
    """Folding a record raised what no fold may raise: our bug, at which this one session stops.

    ``reason`` is the name of the exception's type. The state that was folded is lost: it was changed in place.
    """

    def __init__(self, key: str, offset: int, cause: Exception) -> None:
        self.key, self.offset, self.cause, self.reason = key, offset, cause, type(cause).__name__
        super().__init__(f"the fold of {key} raised {self.reason} at offset {offset}")


class SessionTooLargeError(EverlogError):
    """The document of a session has outgrown ``DOCUMENT_BYTES_MAX``."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the document has {size} bytes, the limit is {DOCUMENT_BYTES_MAX}")


class UnstorableError(FoldRaisedError):
    """What records come to cannot be encoded or is too large for a store, so no store has to find out.

    ``offset`` is the first record that was folded; ``parking.park_raised`` finds the one that it fails at.
    """


def route(
    records: Iterable[LogRecord], partition: int, partitions: int
) -> tuple[dict[str, list[LogRecord]], list[tuple[int, int]]]:
    """Records by session key, and the outcomes of those that belong to no session.

    A record belongs to none without a well-formed key, or where its key's hash says another partition.
    """
    by_raw_key: dict[bytes | None, list[LogRecord]] = {}
    for record in records:
        by_raw_key.setdefault(record.key, []).append(record)
    sessions: dict[str, list[LogRecord]] = {}
    foreign: list[tuple[int, int]] = []
    for raw, found in by_raw_key.items():
        key = well_formed_key(raw)
        if key is None or partition_of(key.encode(), partitions) != partition:
            foreign += [(record.offset, FOREIGN) for record in found]
        else:
            sessions[key] = found
    return sessions, foreign


def fold_session(key: str, loaded: Loaded | None, records: Sequence[LogRecord], stretch: Stretch) -> SessionFold:
    """Fold a session's records onto its document; the state in ``loaded`` is changed in place.

    For a document that is neither parked nor a stub: see ``parking.fold_on``. Raises ``UnknownRulesError``,
    ``FoldRaisedError`` (``UnstorableError`` among them), and ``ForgottenOutcomesError`` when the document says that it
    holds records whose outcomes are gone.
    """
    stored = loaded.stored if loaded is not None else None
    earlier = carried_outcomes(stored, stretch)
    recalled, fresh = recall(stored, earlier, records, stretch)
    fold = _Fold(key, stored.state if stored is not None else None, stretch)
    fold.run(fresh)
    document = None
    if fresh and fold.state is not None:
        document = StoredSession(
            key=key,
            era=stretch.era,
            partition=stretch.partition,
            offset=fresh[-1].offset,
            state=fold.state,
            revision=stored.revision + 1 if stored is not None else 1,
            timeline_from=stored.timeline_from if stored is not None else 1,
            outcomes=earlier + fold.outcomes,
        )
        _prove_storable(document, fresh[0].offset)
    outcomes = recalled + fold.outcomes
    return SessionFold(key, document, fold.entries, fold.rejections, outcomes, fold.edits, fold.redactions)


def carried_outcomes(stored: StoredSession | None, stretch: Stretch) -> list[tuple[int, int]]:
    """The outcomes that a document carries of records at or above the stretch's watermark."""
    if stored is None or stored.era != stretch.era:
        return []
    return [pair for pair in stored.outcomes if pair[0] >= stretch.watermark]


def recall(
    stored: StoredSession | None, earlier: list[tuple[int, int]], records: Sequence[LogRecord], stretch: Stretch
) -> tuple[list[tuple[int, int]], Sequence[LogRecord]]:
    """The outcomes of those records that a document holds, taken from what it carries; and the other records.

    Raises ``ForgottenOutcomesError``.
    """
    if stored is None or (stored.era, stored.offset) < (stretch.era, records[0].offset):
        return [], records
    fresh = [record for record in records if (stretch.era, record.offset) > (stored.era, stored.offset)]
    known, recalled = dict(earlier), []
    for record in records[: len(records) - len(fresh)]:
        if record.offset not in known:
            raise ForgottenOutcomesError(
                f"the document of {stored.key} holds offset {record.offset} without its outcome"
            )
        recalled.append((record.offset, known[record.offset]))
    return recalled, fresh


def replay_session(
    key: str, records: Iterable[LogRecord], era: int, partition: int, *, at_version: int | None = None
) -> tuple[State | None, list[TimelineEntry]]:
    """Fold all records of a session from its first one on, to their end or to a version.

    Returns the state and the entries of all versions; with ``at_version`` no later record is looked at. Raises
    ``UnknownRulesError``, ``FoldRaisedError``.
    """
    fold = _Fold(key, None, Stretch(era, partition, 0))
    fold.run(records, at_version)
    return fold.state, fold.entries


class _Fold:
    """The running fold of one session."""

    def __init__(self, key: str, state: State | None, stretch: Stretch) -> None:
        self.key, self.state, self.stretch = key, state, stretch
        self.entries: list[TimelineEntry] = []
        self.rejections: list[Rejection] = []
        self.outcomes: list[tuple[int, int]] = []
        self.edits: list[Edit] = []
        self.redactions: dict[Place, int] = {}

    def run(self, records: Iterable[LogRecord], at_version: int | None = None) -> None:
        """Judge and fold records in order, to their end or to a version.

        A machine that is out of memory says nothing about the record, a halt is not the session's alone.
        """
        for record in records:
            try:
                self.add(record)
            except (IntegrityError, MemoryError):
                raise
            except Exception as error:
                raise FoldRaisedError(self.key, record.offset, error) from error
            if at_version is not None and self.state is not None and self.state.version >= at_version:
                break

    def add(self, record: LogRecord) -> None:
        """Judge and fold the next record."""
        event = LAW.decode(record.value)
        if not isinstance(event, Event):
            self._add_undecoded(record, event)
            return
        if event.key != self.key:
            self.outcomes.append((record.offset, FOREIGN))
            return
        self.state, verdict = LAW.step(self.state, event)
        if isinstance(verdict, Rejected):
            self._reject(record, event.id, verdict)
            return
        self.outcomes.append((record.offset, pack(verdict)))
        if isinstance(verdict, Accepted):
            self.entries.append(TimelineEntry(verdict.version, record.offset, record.timestamp, record.value or b""))
            if isinstance(event.payload, CHANGING):
                self.edits += edits(event.payload, verdict.version)
                self.redactions |= redactions(event.payload, verdict.version)

    def _add_undecoded(self, record: LogRecord, event: Malformed | UnknownRules) -> None:
        if isinstance(event, UnknownRules):
            raise UnknownRulesError(f"offset {record.offset} of partition {self.stretch.partition}", event.rules)
        version = self.state.version if self.state is not None else 0
        self._reject(record, event.id, Rejected(Reason.MALFORMED, version, (event.detail[:DETAIL_CHARACTERS],)))

    def _reject(self, record: LogRecord, event_id: str | None, verdict: Rejected) -> None:
        place = f"{self.stretch.era}/{self.stretch.partition}/{record.offset}"
        self.outcomes.append((record.offset, pack(verdict)))
        self.rejections.append(rejection_of(self.key, event_id, place, record.offset, record.timestamp, verdict))


def _prove_storable(document: StoredSession, offset: int) -> None:
    """Encode a document before any store has to: 0.8 us for 5 KB (measured), and a session fails here alone."""
    try:
        size = len(encode_stored(document))
        if size > DOCUMENT_BYTES_MAX:
            raise SessionTooLargeError(size)
    except MemoryError:
        raise
    except Exception as error:
        raise UnstorableError(document.key, offset, error) from error
