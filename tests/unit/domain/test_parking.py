"""Parking and redrive: whatever the batching or repetition, a cured session comes to what it would have been."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from everlog.domain import fold as fold_module
from everlog.domain.event import Event
from everlog.domain.fold import (
    FoldRaisedError,
    SessionFold,
    Stretch,
    UnstorableError,
    fold_session,
    replay_session,
)
from everlog.domain.law import LAW, UnknownRulesError
from everlog.domain.parking import fold_on, park, park_raised, pass_over, redriven
from everlog.domain.record import LogRecord
from everlog.domain.state import state_hash
from everlog.domain.stored import (
    COLD,
    Base,
    Loaded,
    Parked,
    StoredSession,
    Stub,
    checksum,
    decode_stored,
    encode_stored,
)
from everlog.domain.verdicts import PENDING
from everlog.schemas.errors import IntegrityError
from support.events import KEY, PARTITION, created, records, said, value
from support.poison import SECRET, Poison

HISTORY = [
    created(),
    said("one"),
    said("two"),
    said("bad", id="poison-1"),
    said("three"),
    b"not an event",
    said("four"),
]
BAD = 3
LAST = len(HISTORY) - 1


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Poison:
    return Poison(monkeypatch)


def stretch(watermark: int = 0) -> Stretch:
    return Stretch(0, PARTITION, watermark)


def reloaded(document: StoredSession | None) -> Loaded | None:
    """A document as a store gives it back."""
    if document is None:
        return None
    blob = encode_stored(document)
    return Loaded(decode_stored(blob), Base(document.revision, checksum(blob)))


def folded(loaded: Loaded | None, log: Sequence[LogRecord], watermark: int) -> SessionFold:
    """What the owner does: fold, else load afresh and park."""
    kept = loaded.stored if loaded is not None else None
    blob = encode_stored(kept) if kept is not None else None
    try:
        return fold_on(KEY, loaded, log, stretch(watermark))
    except FoldRaisedError as error:
        fresh = reloaded(decode_stored(blob)) if blob is not None else None
        return park_raised(KEY, fresh, log, stretch(watermark), error)


def parked_at(bad: list[bytes]) -> Loaded:
    loaded = reloaded(folded(None, records(bad), 0).document)
    assert loaded is not None
    return loaded


def test_a_fold_that_raises_names_the_record_and_the_type_and_nothing_else(poison: Poison) -> None:
    for fold in (
        lambda: fold_session(KEY, None, records(HISTORY), stretch()),
        lambda: replay_session(KEY, records(HISTORY), 0, PARTITION),
    ):
        with pytest.raises(FoldRaisedError) as raised:
            fold()
        assert (raised.value.key, raised.value.offset, raised.value.reason) == (KEY, BAD, "ZeroDivisionError")
        assert SECRET not in str(raised.value)


def test_a_replay_to_a_version_before_it_does_not_meet_it(poison: Poison) -> None:
    state, _ = replay_session(KEY, records(HISTORY), 0, PARTITION, at_version=3)
    assert state is not None and state.version == 3


@pytest.mark.parametrize("error", [IntegrityError("a proof"), UnknownRulesError("an event", 9), MemoryError()])
def test_what_says_nothing_about_the_record_parks_nobody(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(LAW, "step", fail)
    with pytest.raises(type(error)):
        fold_session(KEY, None, records(HISTORY), stretch())


def test_a_session_is_parked_with_its_last_good_state_and_what_follows_is_pending(poison: Poison) -> None:
    fold = folded(None, records(HISTORY), 0)
    document = fold.document
    assert document is not None and document.state is not None
    assert document.parked == Parked(BAD, "ZeroDivisionError", LAST, 1_000 + BAD)
    assert (document.offset, document.version, document.revision) == (BAD - 1, 3, 1)
    assert [entry.version for entry in fold.entries] == [1, 2, 3]
    assert [packed == PENDING for _, packed in fold.outcomes] == [at >= BAD for at in range(len(HISTORY))]
    assert document.outcomes == fold.outcomes[:BAD]


def test_a_creation_that_raises_leaves_a_document_without_a_state(poison: Poison) -> None:
    log = records([b"not an event", created().replace(b'"id":"event', b'"id":"poison-event'), said("hi")], first=5)
    fold = folded(None, log, 5)
    document = fold.document
    assert document is not None and document.state is None and document.stub is None
    assert (document.offset, document.version) == (5, 0)
    assert document.parked is not None and (document.parked.offset, document.parked.seen) == (6, 7)
    again = folded(reloaded(document), log, 5)
    assert again.document is None and again.outcomes == fold.outcomes
    poison.cure()
    loaded = reloaded(document)
    assert loaded is not None
    cured = redriven(KEY, loaded, log[1:], stretch(8)).document
    assert cured is not None and cured.version == 2 and cured.parked is None


def test_a_creation_that_is_rejected_after_the_cure_leaves_no_session(
    poison: Poison, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = parked_at([created().replace(b'"id":"event', b'"id":"poison-event')])
    malformed = records([b"not an event"])
    cured = redriven(KEY, loaded, malformed, stretch()).document
    assert cured is not None and cured.state is None and cured.parked is None
    assert [offset for offset, _ in cured.outcomes] == [0]
    assert fold_on(KEY, reloaded(cured), malformed, stretch()).document is None
    created_after = fold_on(KEY, reloaded(cured), records([created()], first=1), stretch(1)).document
    assert created_after is not None and created_after.version == 1 and created_after.revision == 3


def test_passing_over_moves_only_what_was_seen(poison: Poison) -> None:
    loaded = parked_at(HISTORY)
    later = records([said("five"), said("six")], first=LAST + 1)
    fold = pass_over(KEY, loaded, later, stretch(LAST + 1))
    assert fold.document is not None and fold.document.parked is not None
    assert fold.document.parked.seen == LAST + 2
    assert fold.document.parked.since_ms == 1_000 + BAD
    assert (fold.document.offset, fold.document.version, fold.document.revision) == (BAD - 1, 3, 2)
    assert fold.outcomes == [(LAST + 1, PENDING), (LAST + 2, PENDING)]
    assert not fold.entries and not fold.rejections


def test_a_parked_session_does_not_follow_into_another_era(poison: Poison) -> None:
    with pytest.raises(IntegrityError, match="Redrive"):
        fold_on(KEY, parked_at(HISTORY), records([said("new")]), Stretch(1, PARTITION, 0))


def whole() -> SessionFold:
    return fold_session(KEY, None, records(HISTORY), stretch())


@pytest.mark.parametrize("seed", range(40))
def test_batches_of_any_size_that_crash_and_come_again_leave_what_one_cured_fold_leaves(
    seed: int, poison: Poison
) -> None:
    """Each batch's document is written before its watermark moves; a crash may come in between."""
    chance, log = random.Random(seed), records(HISTORY)
    loaded: Loaded | None = None
    watermark = 0
    versions: set[int] = set()
    told: dict[int, int] = {}
    while watermark < len(log):
        if loaded is not None and loaded.stored.parked is not None and chance.random() < 0.3:
            poison.works = chance.random() < 0.5
            parked = loaded.stored.parked
            until = (
                chance.randint(parked.offset + 2, parked.seen + 1) if parked.seen > parked.offset else parked.seen + 1
            )
            fold = redriven(KEY, loaded, log[parked.offset : until], stretch(watermark), is_part=until <= parked.seen)
            poison.works = True
            batch = log[:0]
        else:
            batch = log[watermark : watermark + chance.randint(1, 4)]
            fold = folded(loaded, batch, watermark)
        versions |= {entry.version for entry in fold.entries}
        told |= {offset: packed for offset, packed in fold.outcomes if packed != PENDING}
        loaded = reloaded(fold.document) or reloaded(loaded.stored if loaded is not None else None)
        if chance.random() < 0.7:
            watermark += len(batch)
    poison.cure()
    assert loaded is not None
    if loaded.stored.parked is not None:
        parked = loaded.stored.parked
        fold = redriven(KEY, loaded, log[parked.offset : parked.seen + 1], stretch(watermark))
        versions |= {entry.version for entry in fold.entries}
        told |= dict(fold.outcomes)
        loaded = reloaded(fold.document)
    assert loaded is not None and loaded.stored.state is not None and loaded.stored.parked is None
    truth = whole()
    assert truth.document is not None and truth.document.state is not None
    assert state_hash(loaded.stored.state) == state_hash(truth.document.state)
    assert loaded.stored.offset == LAST
    assert versions == {entry.version for entry in truth.entries}
    assert told == dict(truth.outcomes)


def test_a_redrive_that_raises_further_on_parks_there_with_what_was_folded(poison: Poison) -> None:
    history = [*HISTORY, said("worse", id="poison-2"), said("five")]
    loaded, bad_offset = parked_at(history), len(HISTORY)
    harmless = [*records([said("harmless")], first=BAD), *records(history)[BAD + 1 :]]
    fold = redriven(KEY, loaded, harmless, stretch(BAD + 1))
    document = fold.document
    assert document is not None and document.parked is not None
    assert (document.parked.offset, document.parked.seen) == (bad_offset, bad_offset + 1)
    assert document.version == 6
    assert [offset for offset, _ in document.outcomes] == list(range(BAD + 1, bad_offset))
    assert [packed == PENDING for _, packed in fold.outcomes][-3:] == [False, True, True]


def test_a_redrive_that_raises_at_the_same_event_changes_nothing(poison: Poison) -> None:
    assert redriven(KEY, parked_at(HISTORY), records(HISTORY)[BAD:], stretch(9)).document is None


@pytest.mark.parametrize("part", [slice(0, 0), slice(BAD, LAST), slice(BAD + 1, LAST + 1)])
def test_a_redrive_without_all_records_is_refused(part: slice, poison: Poison) -> None:
    loaded = parked_at(HISTORY)
    poison.cure()
    with pytest.raises(IntegrityError, match="history"):
        redriven(KEY, loaded, records(HISTORY)[part], stretch())


def evicted() -> Loaded:
    document = whole().document
    assert document is not None and document.state is not None
    stub = Stub(document.version, "open", {}, state_hash(document.state))
    loaded = reloaded(msgspec.structs.replace(document, state=None, stub=stub, revision=2))
    assert loaded is not None
    return loaded


def test_an_event_for_a_stub_waits_for_its_state(poison: Poison) -> None:
    poison.cure()
    log = records([*HISTORY, said("back again")])
    fold = fold_on(KEY, evicted(), log[LAST:], stretch(LAST))
    document = fold.document
    assert document is not None and document.stub is not None and document.parked is not None
    assert document.parked.is_cold and document.parked == Parked(LAST + 1, COLD, LAST + 1, 1_001 + LAST)
    assert fold.outcomes[-1] == (LAST + 1, PENDING) and fold.outcomes[0][1] != PENDING
    again = fold_on(KEY, reloaded(document), log[LAST:], stretch(LAST))
    assert again.document is None and again.outcomes == fold.outcomes
    truth = whole().document
    assert truth is not None
    loaded = reloaded(document)
    assert loaded is not None
    loaded.stored.state, loaded.stored.stub = truth.state, None
    back = redriven(KEY, loaded, log[LAST + 1 :], stretch(LAST + 1)).document
    assert back is not None and back.version == 7 and back.parked is None and back.stub is None


def test_records_that_a_stub_holds_are_recalled(poison: Poison) -> None:
    poison.cure()
    fold = fold_on(KEY, evicted(), records(HISTORY), stretch())
    assert fold.document is None and fold.outcomes == whole().outcomes


def test_parking_what_somebody_else_folded_or_parked_meanwhile_changes_nothing(poison: Poison) -> None:
    theirs = parked_at(HISTORY)
    assert park(KEY, theirs, records(HISTORY), stretch(), BAD, "KeyError").document is None
    poison.cure()
    done = reloaded(whole().document)
    fold = park(KEY, done, records(HISTORY), stretch(), BAD, "KeyError")
    assert fold.document is None and fold.outcomes == whole().outcomes


def test_a_document_from_before_parking_is_read_as_not_parked() -> None:
    document = whole().document
    assert document is not None
    older = msgspec.msgpack.encode(msgspec.msgpack.decode(encode_stored(document))[:-1])
    assert decode_stored(older) == document


HUGE = 200


@pytest.fixture
def small_stores(monkeypatch: pytest.MonkeyPatch) -> int:
    """The stores take what the first three events come to, and little more; returns that size."""
    document = fold_session(KEY, None, records(HISTORY)[:BAD], stretch()).document
    assert document is not None
    size = len(encode_stored(document)) + HUGE
    monkeypatch.setattr(fold_module, "DOCUMENT_BYTES_MAX", size)
    return size


def growing() -> Sequence[LogRecord]:
    """A session whose fifth event takes more room than the stores have."""
    patches = [value("state.patched", {"set": {"key": "x" * size}}) for size in (HUGE // 4, 2 * HUGE)]
    return records([*HISTORY[:BAD], *patches, said("after it"), said("and more")])


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_a_session_that_outgrows_the_stores_is_parked_at_the_same_event_in_any_batches(
    batch: int, small_stores: int
) -> None:
    loaded: Loaded | None = None
    log = growing()
    for first in range(0, len(log), batch):
        loaded = reloaded(folded(loaded, log[first : first + batch], first).document) or loaded
    assert loaded is not None and loaded.stored.parked is not None and loaded.stored.state is not None
    parked = loaded.stored.parked
    assert (parked.offset, parked.reason, parked.seen) == (BAD + 1, "SessionTooLargeError", len(log) - 1)
    assert loaded.stored.version == BAD + 1
    assert redriven(KEY, loaded, log[BAD + 1 :], stretch(9)).document is None


def test_a_session_that_outgrew_the_stores_goes_on_where_they_take_more(
    small_stores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = growing()
    loaded = reloaded(folded(None, log, 0).document)
    assert loaded is not None
    monkeypatch.setattr(fold_module, "DOCUMENT_BYTES_MAX", small_stores + 4 * HUGE)
    cured = redriven(KEY, loaded, log[BAD + 1 :], stretch(9)).document
    assert cured is not None and cured.parked is None and cured.version == len(log)


@pytest.mark.parametrize("batch", [1, 7])
def test_a_state_that_cannot_be_encoded_parks_its_session(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    step = LAW.step

    def unencodable(state: Any, event: Event) -> Any:
        stepped, verdict = step(state, event)
        if "poison" in event.id:
            assert stepped is not None
            stepped.view.title = 1 << 70
        return stepped, verdict

    monkeypatch.setattr(LAW, "step", unencodable)
    loaded: Loaded | None = None
    log = records(HISTORY)
    for first in range(0, len(log), batch):
        loaded = reloaded(folded(loaded, log[first : first + batch], first).document) or loaded
    assert loaded is not None and loaded.stored.parked is not None
    assert (loaded.stored.parked.offset, loaded.stored.parked.reason) == (BAD, "OverflowError")
    assert loaded.stored.version == BAD


def test_what_somebody_else_has_folded_meanwhile_is_not_parked_for_its_size(small_stores: int) -> None:
    log = growing()
    with pytest.raises(UnstorableError) as raised:
        fold_session(KEY, None, log, stretch())
    theirs = reloaded(folded(None, log, 0).document)
    fold = park_raised(KEY, theirs, log, stretch(), raised.value)
    assert fold.document is None and [packed for _, packed in fold.outcomes[-3:]] == [PENDING] * 3


def test_a_part_of_a_redrive_leaves_it_parked_at_the_next_event(poison: Poison) -> None:
    loaded = parked_at(HISTORY)
    poison.cure()
    fold = redriven(KEY, loaded, records(HISTORY)[BAD : BAD + 3], stretch(BAD + 1), is_part=True)
    document = fold.document
    assert document is not None and document.version == 5
    assert document.parked == Parked(BAD + 2, "ZeroDivisionError", LAST, 1_000 + BAD)
    assert [offset for offset, _ in document.outcomes] == [BAD + 1]
    again = redriven(KEY, Loaded(document, loaded.base), records(HISTORY)[BAD + 2 :], stretch(BAD + 1)).document
    assert again is not None and again.parked is None and again.state is not None
    truth = whole().document
    assert truth is not None and truth.state is not None and state_hash(again.state) == state_hash(truth.state)


def test_why_a_value_is_no_event_is_kept_in_a_line() -> None:
    named = said("hi").replace(b'"source"', b'"' + b"x" * 100_000 + b'":1,"source"')
    fold = fold_session(KEY, None, records([created(), named]), stretch())
    (rejection,) = fold.rejections
    assert len(rejection.detail[0]) == fold_module.DETAIL_CHARACTERS


def test_a_machine_that_has_no_memory_to_encode_parks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: StoredSession) -> bytes:
        raise MemoryError

    monkeypatch.setattr(fold_module, "encode_stored", fail)
    with pytest.raises(MemoryError):
        fold_session(KEY, None, records(HISTORY), stretch())
