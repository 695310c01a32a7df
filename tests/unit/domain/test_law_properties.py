"""What is true of every history, whatever stands in it."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from everlog.domain.canonical import canonical
from everlog.domain.content import clear_size
from everlog.domain.event import Event, Malformed
from everlog.domain.fold import SessionFold, Stretch, fold_session, replay_session
from everlog.domain.law import LAW
from everlog.domain.state import State, state_hash
from everlog.domain.stored import Base, Loaded, checksum, decode_stored, encode_stored
from everlog.domain.verdicts import WITHOUT_SLOT, Accepted, Duplicate, Rejected, Verdict, pack, unpack
from everlog.schemas import limits
from support.events import KEY, PARTITION, records, said, value
from support.generated import histories
from support.law import message

RING_BYTES: Final = 6 * 1024


def judged(values: list[bytes]) -> tuple[State | None, list[tuple[bytes, Verdict]]]:
    """The state after a history, and its decodable events with their verdicts."""
    state: State | None = None
    verdicts: list[tuple[bytes, Verdict]] = []
    for raw in values:
        event = LAW.decode(raw)
        if isinstance(event, Event):
            state, verdict = LAW.step(state, event)
            verdicts.append((raw, verdict))
    return state, verdicts


def digest(state: State | None) -> str | None:
    return state_hash(state) if state is not None else None


def ring(state: State | None) -> bytes | None:
    return msgspec.msgpack.encode(state.standing.ring) if state is not None else None


def whole(values: list[bytes]) -> SessionFold | None:
    return fold_session(KEY, None, records(values), Stretch(0, PARTITION, 0)) if values else None


@given(histories())
def test_a_fold_gives_the_verdicts_and_the_state_of_the_steps(values: list[bytes]) -> None:
    fold, (state, verdicts) = whole(values), judged(values)
    if fold is None:
        return
    outcomes = iter(pack(verdict) for _, verdict in verdicts)
    decodable = [isinstance(LAW.decode(raw), Event) for raw in values]
    assert [packed for _, packed in fold.outcomes] == [
        next(outcomes) if is_event else packed for is_event, (_, packed) in zip(decodable, fold.outcomes, strict=True)
    ]
    assert digest(fold.document.state if fold.document is not None else None) == digest(state)
    assert [entry.version for entry in fold.entries] == list(range(1, len(fold.entries) + 1))
    accepted = [values[entry.offset] for entry in fold.entries]
    assert accepted == [raw for raw, verdict in verdicts if isinstance(verdict, Accepted)]


@given(histories())
def test_a_judgement_beforehand_is_the_verdict_and_changes_nothing(values: list[bytes]) -> None:
    state: State | None = None
    for event in map(LAW.decode, values):
        if isinstance(event, Event):
            before = digest(state), ring(state)
            foreseen = LAW.judge(state.standing if state is not None else None, event)
            assert (digest(state), ring(state)) == before
            state, verdict = LAW.step(state, event)
            assert foreseen == verdict


@given(histories(), st.lists(st.integers(1, 40), max_size=4))
def test_batching_and_storing_in_between_change_neither_verdicts_nor_state(
    values: list[bytes], cuts: list[int]
) -> None:
    log, once = records(values), whole(values)
    loaded: Loaded | None = None
    outcomes: list[tuple[int, int]] = []
    for first, until in pairwise(sorted({0, len(log), *(cut for cut in cuts if cut < len(log))})):
        fold = fold_session(KEY, loaded, log[first:until], Stretch(0, PARTITION, first))
        outcomes += fold.outcomes
        if fold.document is not None:
            blob = encode_stored(fold.document)
            assert decode_stored(blob) == fold.document
            loaded = Loaded(decode_stored(blob), Base(fold.document.revision, checksum(blob)))
    if once is None:
        return
    assert outcomes == once.outcomes
    state = loaded.stored.state if loaded is not None else None
    expected = once.document.state if once.document is not None else None
    assert (digest(state), ring(state)) == (digest(expected), ring(expected))


@given(histories(), st.data())
def test_the_fold_of_a_prefix_is_the_state_at_its_version(values: list[bytes], data: st.DataObject) -> None:
    fold = whole(values)
    if fold is None or not fold.entries:
        return
    entry = data.draw(st.sampled_from(fold.entries))
    state, entries = replay_session(KEY, records(values), 0, PARTITION, at_version=entry.version)
    prefix, _ = judged(values[: entry.offset + 1])
    assert (digest(state), ring(state)) == (digest(prefix), ring(prefix))
    assert entries == fold.entries[: entry.version]


@given(histories())
def test_rejected_events_leave_no_trace_but_their_outcome(values: list[bytes]) -> None:
    state, verdicts = judged(values)
    accepted = [raw for raw, verdict in verdicts if isinstance(verdict, Accepted)]
    clean, again = judged(accepted)
    assert digest(clean) == digest(state)
    assert [verdict for _, verdict in again] == [Accepted(number + 1) for number in range(len(accepted))]
    if state is not None and clean is not None:
        assert clean.standing.ring.accepted == state.standing.ring.accepted
        assert clean.standing.ring.rejected == b""


@given(histories())
def test_everything_handed_over_again_gets_its_first_outcome_and_changes_nothing(values: list[bytes]) -> None:
    state, verdicts = judged(values)
    if state is None or state.standing.status == "erased":
        return
    before = digest(state), ring(state)
    for raw, verdict in verdicts:
        event = LAW.decode(raw)
        assert isinstance(event, Event)
        if isinstance(verdict, Duplicate) or (isinstance(verdict, Rejected) and verdict.reason in WITHOUT_SLOT):
            continue
        if isinstance(verdict, Rejected) and verdict.version == 0:  # nothing remembers what came before the creation
            continue
        outcome = verdict if isinstance(verdict, Accepted) else Rejected(verdict.reason, verdict.version)
        state, again = LAW.step(state, event)
        assert again == Duplicate(outcome)
    assert (digest(state), ring(state)) == before


@given(histories(), st.permutations(range(4)))
def test_appends_without_an_expected_version_commute(values: list[bytes], order: list[int]) -> None:
    state, _ = judged([value("session.created", {"owner": "ada"}), *values])
    appends = [value("message.appended", message(f"n{number}"), actor="system:x") for number in range(4)]
    copies = [decode_state(state), decode_state(state)]
    verdicts: list[set[bool]] = []
    for copy, each in zip(copies, (range(4), order), strict=True):
        assert copy is not None
        events = [LAW.decode(appends[number]) for number in each]
        verdicts.append(
            {isinstance(LAW.step(copy, event)[1], Accepted) for event in events if isinstance(event, Event)}
        )
    assert verdicts[0] == verdicts[1]
    assert len(verdicts[0]) == 1
    assert state is not None
    assert verdicts[0] == {state.standing.status == "active"}


def decode_state(state: State | None) -> State | None:
    """An independent copy."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State | None)


@given(histories())
def test_counters_are_what_they_count_and_bounds_hold(values: list[bytes]) -> None:
    state, _ = judged(values)
    if state is None:
        return
    standing, view = state.standing, state.view
    sizes = {key: len(canonical(key)) + clear_size(item) for key, item in view.state.items()}
    assert {key: entry.size for key, entry in standing.keys.items()} == sizes
    assert standing.state_bytes == sum(sizes.values()) <= limits.STATE_BYTES
    assert standing.present == sum(entry.present for entry in standing.roster.values()) <= limits.PRESENT_PARTICIPANTS
    assert set(view.labels) == standing.labels
    assert all(entry.version <= standing.version for entry in standing.keys.values())
    assert all(entry.lease_epoch <= standing.version for entry in standing.roster.values())
    assert all(entry.lease_epoch == 0 for entry in standing.roster.values() if not entry.present)
    if standing.status in ("dormant", "closed"):
        assert all(entry.lease_epoch == 0 for entry in standing.roster.values())
    if standing.status == "closed":
        assert not (standing.runs or standing.tool_calls or standing.interrupts)
    assert len(msgspec.msgpack.encode(standing.ring)) <= RING_BYTES
    assert standing.status == "erased" or len(standing.ring.accepted) == 18 * min(
        standing.version, limits.RING_ACCEPTED
    )


@given(histories())
def test_every_outcome_unpacks_to_its_verdict(values: list[bytes]) -> None:
    for _, verdict in judged(values)[1]:
        first = verdict.first if isinstance(verdict, Duplicate) else verdict
        plain = Rejected(first.reason, first.version) if isinstance(first, Rejected) else first
        assert unpack(pack(verdict)) == (Duplicate(plain) if isinstance(verdict, Duplicate) else plain)


@given(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=4))
def test_a_damaged_event_is_an_event_or_malformed_and_nothing_raises(at: int, lost: int, noise: bytes) -> None:
    raw = said("hello there", id="m-1", leaseepoch=3, retry=True)
    damaged = LAW.decode(raw[:at] + noise + raw[at + lost :])
    assert isinstance(damaged, Event | Malformed)
    assert b"rules" not in noise
