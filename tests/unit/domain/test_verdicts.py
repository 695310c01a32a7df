"""The verdicts of rules 1, each from a short history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlog.domain.event import Event
from everlog.domain.law import LAW
from everlog.domain.state import State
from everlog.domain.verdicts import Accepted, Duplicate, Reason, Rejected, Verdict, pack, unpack
from everlog.schemas.limits import PRESENT_PARTICIPANTS, RING_ACCEPTED, STATE_BYTES
from support.events import event

CREATED = ("session.created", {"owner": "ada"})


def message(**attributes: Any) -> Event:
    return event("message.appended", {"role": "user", "parts": [{"type": "text", "text": "hi"}]}, **attributes)


def joined(participant: str, *, kind: str = "human", role: str = "editor", actor: str | None = None) -> Event:
    data = {"participant": participant, "principal": participant, "kind": kind, "role": role}
    return event("participant.joined", data, actor=actor or participant)


def patched(data: dict[str, Any], **attributes: Any) -> Event:
    return event("state.patched", data, **attributes)


def fold(events: Sequence[Event]) -> tuple[State | None, list[Verdict]]:
    state: State | None = None
    verdicts = []
    for item in events:
        state, verdict = LAW.step(state, item)
        verdicts.append(verdict)
    return state, verdicts


def last(*events: Event) -> Verdict:
    return fold([event(*CREATED), *events])[1][-1]


def reason(verdict: Verdict) -> Reason:
    assert isinstance(verdict, Rejected), verdict
    return verdict.reason


def test_versions_count_accepted_events_without_a_gap() -> None:
    _, verdicts = fold([event(*CREATED), message(), message(expectedversion=9), message()])
    assert verdicts == [Accepted(1), Accepted(2), Rejected(Reason.VERSION_CONFLICT, 2), Accepted(3)]


def test_without_a_session_nothing_but_a_creation_is_accepted() -> None:
    assert fold([message()]) == (None, [Rejected(Reason.NOT_FOUND)])


def test_the_same_creation_again_is_a_duplicate_and_another_one_meets_a_session_that_exists() -> None:
    assert last(event(*CREATED)) == Duplicate(Accepted(1))
    assert reason(last(event("session.created", {"owner": "ada", "title": "other"}))) == Reason.EXISTS


def test_a_creation_expects_version_0_and_no_lease_or_nothing() -> None:
    def begun(**attributes: Any) -> list[Verdict]:
        return fold([event(*CREATED, **attributes)])[1]

    assert begun(expectedversion=0) == [Accepted(1)]
    assert begun(expectedversion=1) == [Rejected(Reason.VERSION_CONFLICT)]
    assert begun(leaseepoch=1, expectedversion=1) == [Rejected(Reason.FENCED)]


def test_a_retry_gets_the_first_outcome_and_changes_nothing() -> None:
    first, again = message(id="m"), message(id="m", retry=True, time="2027-01-01T00:00:00Z")
    state, verdicts = fold([event(*CREATED), first, message(), again])
    assert verdicts[-1] == Duplicate(Accepted(2))
    assert state is not None
    assert state.version == 3


def test_a_retry_of_a_rejected_event_gets_the_rejection() -> None:
    stale, again = message(id="m", expectedversion=9), message(id="m", expectedversion=9, retry=True)
    assert last(stale, message(), again) == Duplicate(Rejected(Reason.VERSION_CONFLICT, 1))


def test_the_same_id_with_other_content_is_refused() -> None:
    other = event("message.appended", {"role": "user", "parts": [{"type": "text", "text": "other"}]}, id="m")
    assert reason(last(message(id="m"), other)) == Reason.ID_REUSED


def test_a_retry_beyond_the_ring_is_refused_and_never_applied_twice() -> None:
    first = message(id="m")
    others = [message() for _ in range(RING_ACCEPTED + 1)]
    assert reason(last(first, *others, message(id="m", retry=True, seenversion=1))) == Reason.RETRY_EXPIRED


def test_strangers_and_viewers_may_not_write() -> None:
    assert reason(last(message(actor="eve"))) == Reason.FORBIDDEN
    assert reason(last(joined("eve", role="viewer"), message(actor="eve"))) == Reason.FORBIDDEN


def test_participants_may_write_until_they_leave() -> None:
    left = event("participant.left", {"participant": "bob"}, actor="bob")
    assert last(joined("bob"), message(actor="bob")) == Accepted(3)
    assert reason(last(joined("bob"), left, message(actor="bob"))) == Reason.FORBIDDEN


def test_a_viewer_may_leave_and_may_not_make_another_leave() -> None:
    viewer = joined("eve", role="viewer")
    assert last(viewer, event("participant.left", {"participant": "eve"}, actor="eve")) == Accepted(3)
    assert reason(last(viewer, event("participant.left", {"participant": "ada"}, actor="eve"))) == Reason.FORBIDDEN


def test_the_owner_may_leave_and_stays_the_owner() -> None:
    left = event("participant.left", {"participant": "ada"})
    assert last(left, message()) == Accepted(3)
    state, _ = fold([event(*CREATED), left, joined("ada")])
    assert state is not None
    assert state.standing.roster["ada"].role == "owner"
    assert state.standing.is_present("ada")


def test_an_agent_without_a_lease_is_fenced() -> None:
    assert reason(last(joined("bot", kind="agent"), message(actor="bot"))) == Reason.FENCED


def test_an_epoch_that_is_not_held_is_fenced() -> None:
    assert reason(last(joined("bob"), message(actor="bob", leaseepoch=2))) == Reason.FENCED


def test_joining_twice_is_already_open_and_leaving_twice_an_unknown_reference() -> None:
    left = event("participant.left", {"participant": "bob"})
    assert reason(last(joined("bob"), joined("bob"))) == Reason.ALREADY_OPEN
    assert reason(last(joined("bob"), left, left_again())) == Reason.UNKNOWN_REFERENCE


def left_again() -> Event:
    return event("participant.left", {"participant": "bob"}, actor="ada")


def test_a_session_is_full_at_its_bound() -> None:
    crowd = [joined(f"p{number}") for number in range(PRESENT_PARTICIPANTS - 1)]
    _, verdicts = fold([event(*CREATED), *crowd, joined("late")])
    assert verdicts[-2] == Accepted(PRESENT_PARTICIPANTS)
    assert verdicts[-1] == Rejected(Reason.LIMIT_EXCEEDED, PRESENT_PARTICIPANTS, ("present_participants",))


def test_a_sleeping_session_takes_only_resuming_and_closing() -> None:
    suspended = event("session.suspended", {})
    assert reason(last(suspended, message())) == Reason.DORMANT
    assert last(suspended, event("session.resumed", {}), message()) == Accepted(4)
    assert last(suspended, event("session.closed", {})) == Accepted(3)


def test_a_closed_session_takes_nothing() -> None:
    closed = event("session.closed", {"outcome": "done"})
    assert reason(last(closed, message())) == Reason.CLOSED
    assert reason(last(closed, event("session.resumed", {}))) == Reason.CLOSED


def test_a_key_that_changed_meanwhile_is_a_conflict_that_names_it() -> None:
    first = patched({"set": {"city": "Rome"}})
    stale = patched({"set": {"city": "Bari"}, "expected_keys": {"city": 0, "other": 0}})
    fresh = patched({"set": {"city": "Bari"}, "expected_keys": {"city": 2, "other": 0}})
    assert last(first, stale) == Rejected(Reason.KEY_CONFLICT, 2, ("city",))
    assert last(first, fresh) == Accepted(3)


def test_the_state_document_keeps_its_bound_and_gives_space_back() -> None:
    big = "x" * (STATE_BYTES - 100)
    assert last(patched({"set": {"a": big}})) == Accepted(2)
    assert last(patched({"set": {"a": big}}), patched({"set": {"b": big}})) == Rejected(
        Reason.LIMIT_EXCEEDED, 2, ("state_bytes",)
    )
    assert last(patched({"set": {"a": big}}), patched({"set": {"b": big}, "unset": ["a"]})) == Accepted(3)


def test_a_batch_is_all_or_nothing_and_names_the_event_that_was_refused() -> None:
    def batch(*patches: dict[str, Any]) -> Event:
        return event("batch.appended", {"events": [{"type": "everlog.state.patched.v1", "data": p} for p in patches]})

    big = "x" * (STATE_BYTES - 100)
    state, verdicts = fold([event(*CREATED), batch({"set": {"a": 1}}, {"set": {"b": 2}})])
    assert verdicts[-1] == Accepted(2)
    assert state is not None
    assert state.view.state == {"a": 1, "b": 2}
    state, verdicts = fold([event(*CREATED), batch({"set": {"a": big}}, {"set": {"b": big}})])
    assert verdicts[-1] == Rejected(Reason.LIMIT_EXCEEDED, 1, ("events[1]", "state_bytes"))
    assert state is not None
    assert state.view.state == {}


def test_an_answer_to_a_message_that_is_not_there_is_an_unknown_reference() -> None:
    answer = {"role": "user", "parts": [{"type": "text", "text": "?"}], "reply_to": {"version": 7}}
    assert reason(last(event("message.appended", answer))) == Reason.UNKNOWN_REFERENCE


_outcomes = st.one_of(
    st.builds(Accepted, st.integers(1, 2**39)),
    st.builds(Rejected, st.sampled_from(Reason), st.integers(0, 2**39), st.just(())),
)


@given(st.one_of(_outcomes, st.builds(Duplicate, _outcomes)))
def test_a_packed_outcome_unpacks_to_the_same_verdict(verdict: Verdict) -> None:
    assert unpack(pack(verdict)) == verdict


@pytest.mark.parametrize("item", list(Reason))
def test_a_reason_has_a_name_of_lower_case_letters(item: Reason) -> None:
    assert item.text.replace("_", "").islower()
