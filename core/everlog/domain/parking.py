"""Parking: one session stops at an event, every other one goes on; and redrive, which continues it.

A session is parked where its fold raises (our bug), where its document outgrows the stores, or where an event comes
while it is only a stub (``COLD``). Its document keeps the last good state, or the stub, and says where it waits and
what was passed over since. A batch that comes again changes nothing: what a document has folded or seen is known from
it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from everlog.domain.fold import (
    FoldRaisedError,
    SessionFold,
    Stretch,
    UnstorableError,
    carried_outcomes,
    fold_session,
    recall,
)
from everlog.domain.record import LogRecord
from everlog.domain.stored import COLD, Loaded, Parked, StoredSession, decode_stored, encode_stored
from everlog.domain.verdicts import PENDING
from everlog.schemas.errors import IntegrityError


def fold_on(key: str, loaded: Loaded | None, records: Sequence[LogRecord], stretch: Stretch) -> SessionFold:
    """Fold a session's records onto its document, or pass them over where it is parked or only a stub.

    Raises as ``fold_session`` does; after a ``FoldRaisedError`` load the document afresh and ``park_raised``.
    """
    if loaded is None or (loaded.stored.parked is None and loaded.stored.stub is None):
        return fold_session(key, loaded, records, stretch)
    stored = loaded.stored
    if stored.parked is not None:
        return pass_over(key, loaded, records, stretch)
    _, fresh = recall(stored, carried_outcomes(stored, stretch), records, stretch)
    if not fresh:
        return fold_session(key, loaded, records, stretch)
    return park(key, loaded, records, stretch, fresh[0].offset, COLD)


def park(
    key: str, loaded: Loaded | None, records: Sequence[LogRecord], stretch: Stretch, offset: int, reason: str
) -> SessionFold:
    """Fold the records before an offset, and leave the session parked there; what follows is pending.

    ``loaded`` must be fresh. If somebody else has folded or parked it meanwhile, that counts. A session without a state
    gets a document without one. Raises ``FoldRaisedError`` if an earlier record cannot be folded, either.
    """
    stored = loaded.stored if loaded is not None else None
    if stored is not None and (stored.parked is not None or (stored.era, stored.offset) >= (stretch.era, offset)):
        return fold_on(key, loaded, records, stretch)
    before = [record for record in records if record.offset < offset]
    passed = records[len(before) :]
    fold = fold_session(key, loaded, before, stretch) if before else SessionFold(key, None, [], [], [])
    start = fold.document or stored or StoredSession(key, stretch.era, stretch.partition, offset, None)
    fold.document = msgspec.structs.replace(
        start,
        era=stretch.era,
        partition=stretch.partition,
        offset=offset - 1,
        revision=stored.revision + 1 if stored is not None else 1,
        outcomes=_to_carry(stored, fold, stretch),
        parked=Parked(offset, reason, passed[-1].offset, passed[0].timestamp),
    )
    fold.outcomes += [(record.offset, PENDING) for record in passed]
    return fold


def park_raised(
    key: str, loaded: Loaded | None, records: Sequence[LogRecord], stretch: Stretch, error: FoldRaisedError
) -> SessionFold:
    """Park a session at the record that its fold raised at, or after which its document cannot be stored.

    ``loaded`` must be fresh. Raises ``FoldRaisedError`` if it raises at another record now: load again and call again.
    """
    offset = error.offset
    if isinstance(error, UnstorableError):
        pristine = encode_stored(loaded.stored) if loaded is not None else None

        def fails(count: int) -> bool:
            before = Loaded(decode_stored(pristine), loaded.base) if loaded and pristine is not None else None
            try:
                fold_on(key, before, records[:count], stretch)
            except UnstorableError:
                return True
            return False

        at = bisect_left(range(1, len(records) + 1), True, key=fails)
        if at == len(records):  # somebody else has folded them meanwhile
            return fold_on(key, loaded, records, stretch)
        offset = records[at].offset
    return park(key, loaded, records, stretch, offset, error.reason)


def pass_over(key: str, loaded: Loaded, records: Sequence[LogRecord], stretch: Stretch) -> SessionFold:
    """Fold nothing: what lies beyond a parked document's position is pending, and was seen."""
    stored = loaded.stored
    parked = _parked(stored)
    if stored.era != stretch.era:
        raise IntegrityError(
            f"{key} is parked in era {stored.era}, the log is of era {stretch.era}",
            hint="Redrive parked sessions before a new era begins",
        )
    earlier = carried_outcomes(stored, stretch)
    recalled, beyond = recall(stored, earlier, records, stretch)
    document = None
    if beyond and beyond[-1].offset > parked.seen:
        document = msgspec.structs.replace(
            stored,
            revision=stored.revision + 1,
            outcomes=earlier,
            parked=msgspec.structs.replace(parked, seen=beyond[-1].offset),
        )
    return SessionFold(key, document, [], [], recalled + [(record.offset, PENDING) for record in beyond])


def redriven(
    key: str, loaded: Loaded, records: Sequence[LogRecord], stretch: Stretch, *, is_part: bool = False
) -> SessionFold:
    """Fold what a parked session passed over with the code of today: it goes on, or is parked again.

    ``records`` are the session's from where it waits to what it has seen; with ``is_part`` only the first ones of them:
    then all but the last are folded, and it is parked as before at the last. ``loaded`` has its state, also where the
    store has only a stub. The stretch's watermark is the partition's, so that the document carries the outcomes that a
    repeated batch asks for. No document: it waits where it did. Raises ``IntegrityError`` when records are missing.
    """
    stored = loaded.stored
    parked = _parked(stored)
    _refuse_gap(key, parked, records, is_part)
    pristine = encode_stored(msgspec.structs.replace(stored, parked=None))
    folded = records[:-1] if is_part else records
    following = msgspec.structs.replace(parked, offset=records[-1].offset) if is_part else None
    try:
        fold = fold_session(key, Loaded(decode_stored(pristine), loaded.base), folded, stretch)
    except FoldRaisedError as error:
        fold = park_raised(key, Loaded(decode_stored(pristine), loaded.base), folded, stretch, error)
        again = _parked(fold.document) if fold.document is not None else parked
        if (again.offset, again.reason) == (parked.offset, parked.reason):
            return msgspec.structs.replace(fold, document=None)
        following = msgspec.structs.replace(again, seen=parked.seen)
    start = fold.document or msgspec.structs.replace(stored, revision=stored.revision + 1)
    position = following.offset - 1 if following is not None else parked.seen
    outcomes = [pair for pair in _to_carry(stored, fold, stretch) if pair[0] <= position]
    fold.document = msgspec.structs.replace(start, offset=position, outcomes=outcomes, parked=following)
    return fold


def _refuse_gap(key: str, parked: Parked, records: Sequence[LogRecord], is_part: bool) -> None:
    """Records that are the ones from where it waits on; a part has one to fold and one to wait at, at least."""
    offsets = [record.offset for record in records]
    if is_part:
        complete = len(offsets) > 1 and offsets[0] == parked.offset and offsets[-1] < parked.seen
    else:
        complete = offsets[:1] == [parked.offset] and offsets[-1] == parked.seen
    if not complete:
        raise IntegrityError(
            f"history does not give back the records {parked.offset} to {parked.seen} of {key}",
            hint="Check the archive with: everlog archive status",
        )


def _parked(stored: StoredSession) -> Parked:
    assert stored.parked is not None  # noqa: S101 (a type narrowing: callers ask first)
    return stored.parked


def _to_carry(stored: StoredSession | None, fold: SessionFold, stretch: Stretch) -> list[tuple[int, int]]:
    """What a document must carry after a fold, for batches that come again."""
    known = dict(carried_outcomes(stored, stretch)) | dict(fold.outcomes)
    return [pair for pair in sorted(known.items()) if pair[0] >= stretch.watermark]
