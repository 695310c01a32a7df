"""Decoding, judging and folding on one core, beside what pydantic alone needs to decode the same events.

Two logs: the demo's real conversations, and a mixture of all types (suffix ``_mix``). Each of four bodies of work goes
over a whole log; they take turns for some rounds in one process, and the best round of each counts: noise only ever
slows down, and it hits all alike.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks import conversations, mixture
from everlog.domain.event import Event
from everlog.domain.fold import Stretch, fold_session, route
from everlog.domain.law import LAW
from everlog.domain.record import Record
from everlog.domain.state import State
from everlog.domain.stored import Base, Loaded, StoredSession, encode_stored
from everlog.domain.verdicts import Accepted
from everlog.runtime.collector import relax_collector
from everlog.schemas.events import AnyEvent

ROUNDS: Final = 7
BATCH_RECORDS: Final = 3_000
"""Records of one stretch of the log, as the projector takes them."""
DATA_MARK: Final = b'"data":'


def measure() -> dict[str, float]:
    """The metrics of both logs."""
    relax_collector()
    return {**_measured(conversations.records(), ""), **_measured(mixture.records(), "_mix")}


def _measured(records: Sequence[Record], suffix: str) -> dict[str, float]:
    values = [record.value or b"" for record in records]
    histories = _histories(values)
    documents = _folded(records)
    print(f"fold{suffix}: {len(records)} events of {len(histories)} sessions", file=sys.stderr)
    works: dict[str, Callable[[], object]] = {
        "pydantic_decode_per_s": lambda: _each(AnyEvent.validate_json, values),
        "decode_per_s": lambda: _each(LAW.decode, values),
        "decide_evolve_per_s": lambda: _judged(histories),
        "decode_fold_per_s": lambda: _folded(records),
    }
    metrics = {name: round(len(records) / seconds) for name, seconds in _best_seconds(works).items()}
    metrics["envelope_bytes_mean"] = round(sum(map(_envelope_bytes, values)) / len(values))
    metrics["state_bytes_p99"] = _p99([_state_bytes(loaded.stored) for loaded in documents.values()])
    return {name + suffix: metric for name, metric in metrics.items()}


def _best_seconds(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    seconds = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, work in works.items():
            began = time.perf_counter()
            kept = work()  # until the clock is read: to forget is not part of the work
            seconds[name] = min(seconds[name], time.perf_counter() - began)
            del kept
    return seconds


def _each(decode: Callable[[bytes], object], values: Sequence[bytes]) -> None:
    for value in values:
        decode(value)


def _judged(histories: Sequence[Sequence[Event]]) -> None:
    for history in histories:
        state: State | None = None
        for event in history:
            state, _ = LAW.step(state, event)


def _folded(records: Sequence[Record]) -> dict[str, Loaded]:
    """Fold a log batch by batch, as the projector does with all documents in its cache."""
    documents: dict[str, Loaded] = {}
    for first in range(0, len(records), BATCH_RECORDS):
        stretch = Stretch(0, conversations.PARTITION, first)
        sessions, _ = route(records[first : first + BATCH_RECORDS], conversations.PARTITION, 1)
        for key, found in sessions.items():
            document = fold_session(key, documents.get(key), found, stretch).document
            if document is not None:
                documents[key] = Loaded(document, Base(document.revision, 0))
    return documents


def _histories(values: Sequence[bytes]) -> list[list[Event]]:
    """The decoded events of each session. Raises ``ValueError`` for one that is not accepted: it would be cheap."""
    histories: dict[str, list[Event]] = {}
    states: dict[str, State | None] = {}
    for value in values:
        event = LAW.decode(value)
        if not isinstance(event, Event):
            raise ValueError(f"not an event: {event}")
        states[event.key], verdict = LAW.step(states.get(event.key), event)
        if not isinstance(verdict, Accepted):
            raise ValueError(f"{event.type} of {event.key}: {verdict}")
        histories.setdefault(event.key, []).append(event)
    return list(histories.values())


def _envelope_bytes(value: bytes) -> int:
    """Bytes of a value without its data, which are an object: behind them is no brace but the last."""
    first = value.index(DATA_MARK) + len(DATA_MARK)
    return first + len(value) - value.rindex(b"}", 0, len(value) - 1) - 1


def _state_bytes(stored: StoredSession) -> int:
    """Bytes of a document without the outcomes that only wait for the watermark."""
    stored.outcomes = []
    return len(encode_stored(stored))


def _p99(numbers: list[int]) -> int:
    return sorted(numbers)[len(numbers) * 99 // 100]
