"""Folding a history, and its verdicts and state in the form in which they are recorded.

Not recorded are the words of a ``malformed`` (they explain, and come from libraries) and the ring's bytes (its layout
is free; that it remembers the right events is seen by the duplicates).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec

from everlog.domain.fold import Stretch, fold_session
from everlog.domain.record import LogRecord, Record
from everlog.domain.ring import Ring
from everlog.domain.state import State, state_hash
from everlog.domain.stored import Base, Loaded, Rejection, TimelineEntry, checksum, decode_stored, encode_stored
from everlog.domain.verdicts import Accepted, Duplicate, Reason, Rejected, Verdict, unpack
from everlog.domain.view import FOLD_VERSION

SHOWN: Final = 12
"""A table or list with more entries is shown by their number, the first and the last."""
SHOWN_CHARACTERS: Final = 120
"""Of a text that is longer, the beginning is shown."""


class Folded(msgspec.Struct):
    """What a history's records come to."""

    verdicts: list[dict[str, Any]]
    entries: list[TimelineEntry]
    state: State | None


def log_of(key: str, values: Iterable[bytes | None]) -> list[LogRecord]:
    """The records of a session, dense from offset 0 on."""
    return [Record(0, at, 1_000 + at, key.encode(), value) for at, value in enumerate(values)]


def fold(key: str, records: Sequence[LogRecord], cuts: Iterable[int] = ()) -> Folded:
    """Fold in stretches that begin at the cuts; between two the session goes through its stored form."""
    loaded: Loaded | None = None
    folded = Folded([], [], None)
    for first, until in pairwise([0, *cuts, len(records)]):
        if first == until:
            continue
        found = fold_session(key, loaded, records[first:until], Stretch(0, 0, first))
        rejections = {rejection.offset: rejection for rejection in found.rejections}
        folded.entries += found.entries
        folded.verdicts += [told(key, unpack(packed), rejections.get(offset)) for offset, packed in found.outcomes]
        if found.document is not None:
            blob = encode_stored(found.document)
            loaded = Loaded(decode_stored(blob), Base(found.document.revision, checksum(blob)))
    folded.state = loaded.stored.state if loaded is not None else None
    return folded


def told(key: str, verdict: Verdict | None, rejection: Rejection | None = None) -> dict[str, Any]:
    """A verdict as it is recorded; None is that of a record which belongs to no session."""
    match verdict:
        case None:
            return {"outcome": "foreign"}
        case Accepted(version):
            return {"outcome": "accepted", "version": version}
        case Duplicate(first):
            return {"outcome": "duplicate", "first": told(key, first)}
        case Rejected(reason, version):
            shown: dict[str, Any] = {"outcome": reason.text, "version": version}
    if rejection is not None and reason is Reason.MALFORMED:
        event_id = rejection.id.removeprefix(f"{key}#")
        shown |= {"id": event_id} if "/" not in event_id else {}
    elif rejection is not None and rejection.detail:
        shown["detail"] = list(rejection.detail)
    return shown


def readable(state: State | None) -> dict[str, Any] | None:
    """A state as it is recorded: its hash, and what people can read of it."""
    if state is None:
        return None
    return {
        "version": state.version,
        "fold_version": FOLD_VERSION,
        "hash": state_hash(state),
        "standing": _shown(state.standing),
        "view": _shown(state.view),
    }


def _shown(value: Any) -> Any:
    """A value for people: what is empty left out, what is long shortened."""
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        kept = {name: item for name, item in fields.items() if not isinstance(item, Ring) and not _is_empty(item)}
        return {name: _shown(item) for name, item in kept.items()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str) and len(value) > SHOWN_CHARACTERS:
        return f"{value[:SHOWN_CHARACTERS]}... ({len(value)} characters)"
    if isinstance(value, dict):
        return _shortened({name: _shown(item) for name, item in value.items()})
    if isinstance(value, set):
        return _shortened(sorted(value))
    return _shortened([_shown(item) for item in value]) if isinstance(value, list) else value


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, dict | list | set | bytes) and not value)


def _shortened(value: dict[str, Any] | list[Any]) -> Any:
    if len(value) <= SHOWN:
        return value
    entries = list(value.items() if isinstance(value, dict) else value)
    return {"(number)": len(value), "(first)": entries[0], "(last)": entries[-1]}
