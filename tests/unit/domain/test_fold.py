"""Folding stretches of a partition: the same log gives the same state, whatever the batching or repetition."""

from __future__ import annotations

from itertools import pairwise

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from everlog.domain.fold import SessionFold, Stretch, fold_session, route
from everlog.domain.law import UnknownRulesError
from everlog.domain.record import LogRecord, Record, partition_of
from everlog.domain.state import state_hash
from everlog.domain.stored import Base, Loaded, StoredSession, checksum, decode_stored, encode_stored
from everlog.domain.verdicts import FOREIGN, Accepted, Reason, Rejected, pack, unpack
from everlog.schemas.errors import IntegrityError
from support.events import KEY, PARTITION, PARTITIONS, created, records, said, value

HISTORY = [
    created(title="Trip"),
    said("one", id="m1"),
    value("state.patched", {"set": {"city": "Rome", "ratio": 0.5}}),
    said("stale", expectedversion=1),
    said("one", id="m1"),
    value("org.example.thing", {"n": 1}),
    b"not an event",
    said("two"),
]


def stretch(watermark: int = 0) -> Stretch:
    return Stretch(0, PARTITION, watermark)


def stored(fold: SessionFold) -> Loaded:
    """The document as a store gives it back."""
    assert fold.document is not None
    blob = encode_stored(fold.document)
    return Loaded(decode_stored(blob), Base(fold.document.revision, checksum(blob)))


def digest(document: StoredSession | None) -> str:
    assert document is not None
    assert document.state is not None
    return state_hash(document.state)


def whole() -> SessionFold:
    return fold_session(KEY, None, records(HISTORY), stretch())


def test_a_history_gives_its_verdicts_entries_and_rejections() -> None:
    fold = whole()
    assert [entry.version for entry in fold.entries] == [1, 2, 3, 4, 5]
    assert [rejection.reason for rejection in fold.rejections] == ["version_conflict", "malformed"]
    assert [offset for offset, _ in fold.outcomes] == list(range(len(HISTORY)))
    assert unpack(fold.outcomes[-1][1]) == Accepted(5)


@given(st.lists(st.integers(1, len(HISTORY) - 1), max_size=4))
def test_batching_changes_nothing(cuts: list[int]) -> None:
    log = records(HISTORY)
    loaded: Loaded | None = None
    outcomes: list[tuple[int, int]] = []
    bounds = [0, *sorted(set(cuts)), len(log)]
    for first, until in pairwise(bounds):
        fold = fold_session(KEY, loaded, log[first:until], stretch(first))
        outcomes += fold.outcomes
        loaded = stored(fold)
    assert loaded is not None
    assert digest(loaded.stored) == digest(whole().document)
    assert outcomes == whole().outcomes


@given(st.integers(1, len(HISTORY)), st.integers(1, len(HISTORY)))
def test_a_batch_that_comes_again_after_a_crash_has_the_same_outcomes_and_state(done: int, again: int) -> None:
    log = records(HISTORY)
    loaded = stored(fold_session(KEY, None, log[:done], stretch()))
    repeated = fold_session(KEY, loaded, log[:again], stretch())
    assert repeated.outcomes == whole().outcomes[:again]
    rest = fold_session(KEY, stored(repeated) if repeated.document else loaded, log, stretch())
    assert rest.outcomes == whole().outcomes
    assert digest(rest.document or loaded.stored) == digest(whole().document)


def test_a_document_that_lost_the_outcomes_of_its_records_is_noticed() -> None:
    loaded = stored(whole())
    loaded.stored.outcomes = []
    with pytest.raises(IntegrityError, match="without its outcome"):
        fold_session(KEY, loaded, records(HISTORY), stretch())


def test_a_document_of_an_older_era_lends_no_outcomes_and_hides_no_record() -> None:
    loaded = stored(whole())
    fold = fold_session(KEY, loaded, records([said("three")]), Stretch(1, PARTITION, 0))
    assert fold.outcomes == [(0, pack(Accepted(6)))]
    assert fold.document is not None and fold.document.outcomes == fold.outcomes


def test_a_document_of_a_newer_era_is_never_folded_on() -> None:
    loaded = stored(fold_session(KEY, None, records(HISTORY), Stretch(1, PARTITION, 0)))
    with pytest.raises(IntegrityError, match="without its outcome"):
        fold_session(KEY, loaded, records([said("late")], first=99), stretch())


def test_rejected_events_leave_no_trace_in_the_state() -> None:
    clean = [raw for raw in HISTORY if b"stale" not in raw and raw != b"not an event"]
    assert digest(fold_session(KEY, None, records(clean), stretch()).document) == digest(whole().document)


def test_a_record_whose_key_is_not_its_events_session_is_never_folded() -> None:
    other = records(HISTORY[:1], key="acme/other")
    fold = fold_session("acme/other", None, other, stretch())
    assert (fold.document, fold.outcomes) == (None, [(0, FOREIGN)])


def test_records_without_a_key_or_in_the_wrong_partition_belong_to_no_session() -> None:
    log: list[LogRecord] = [
        *records([said("mine")]),
        Record(PARTITION, 1, 0, None, b"x"),
        Record(PARTITION, 2, 0, b"no separator", b"x"),
        Record(PARTITION, 3, 0, b"\xff/x", b"x"),
    ]
    sessions, foreign = route(log, PARTITION, PARTITIONS)
    assert list(sessions) == [KEY]
    assert foreign == [(1, FOREIGN), (2, FOREIGN), (3, FOREIGN)]
    sessions, foreign = route(log[:1], (PARTITION + 1) % PARTITIONS, PARTITIONS)
    assert (sessions, foreign) == ({}, [(0, FOREIGN)])


def test_a_session_that_does_not_exist_leaves_a_rejection_and_no_document() -> None:
    fold = fold_session(KEY, None, records([said("hello?")]), stretch())
    assert fold.document is None
    assert [unpack(outcome) for _, outcome in fold.outcomes] == [Rejected(Reason.NOT_FOUND)]


def test_rules_that_this_reader_does_not_know_halt_it() -> None:
    with pytest.raises(UnknownRulesError):
        fold_session(KEY, None, records([created(), said("future").replace(b'"data"', b'"rules":2,"data"')]), stretch())


@given(st.binary(max_size=40))
def test_partitions_are_those_of_kafkas_default_partitioner(key: bytes) -> None:
    assert partition_of(key, 64) == (murmur2(key) & 0x7FFFFFFF) % 64


def test_the_stored_form_stays_within_its_bounds_after_many_events() -> None:
    log = records([created(), *(said(f"message {number}") for number in range(1_000))])
    document = fold_session(KEY, None, log, stretch()).document
    assert document is not None
    document.outcomes = []
    assert len(encode_stored(document)) < 8 * 1024


def test_a_fold_says_of_every_record_where_it_lies_and_when_it_was_appended() -> None:
    fold = fold_session(KEY, None, records(HISTORY, first=10), Stretch(3, PARTITION, 10))
    assert fold.key == KEY
    assert fold.document is not None
    document = fold.document
    assert (document.key, document.era, document.partition, document.offset) == (KEY, 3, PARTITION, 17)
    assert (document.revision, document.timeline_from, document.outcomes) == (1, 1, fold.outcomes)
    assert [(entry.offset, entry.timestamp, entry.value) for entry in fold.entries] == [
        (10 + at, 1_000 + at, HISTORY[at]) for at in (0, 1, 2, 5, 7)
    ]
    stale, unreadable = fold.rejections
    assert (stale.offset, stale.timestamp, stale.version) == (13, 1_003, 3)
    assert stale.id.startswith(f"{KEY}#event-")
    assert (unreadable.id, unreadable.offset) == (f"{KEY}#@3/{PARTITION}/16", 16)
    assert (unreadable.timestamp, unreadable.version) == (1_006, 4)
    assert len(unreadable.detail) == 1
    assert "malformed" in unreadable.detail[0]


def test_a_document_that_is_folded_on_keeps_what_is_its_own() -> None:
    loaded = stored(whole())
    loaded.stored.revision, loaded.stored.timeline_from = 7, 4
    loaded.stored.outcomes = []
    document = fold_session(KEY, loaded, records([said("three")], first=8), stretch(8)).document
    assert document is not None
    assert (document.revision, document.timeline_from, document.offset) == (8, 4, 8)


def test_a_malformed_event_is_named_by_its_id_and_comes_before_any_session() -> None:
    broken = said("hi", id="m-1").replace(b'"role"', b'"roll"')
    (rejection,) = fold_session(KEY, None, records([broken]), stretch()).rejections
    assert (rejection.id, rejection.reason, rejection.version) == (f"{KEY}#m-1", "malformed", 0)


def test_routing_keeps_the_records_of_a_session_in_order() -> None:
    log = records([said("one"), said("two")])
    sessions, _ = route(log, PARTITION, PARTITIONS)
    assert sessions == {KEY: log}
