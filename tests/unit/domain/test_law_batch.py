"""Batches: all or nothing, one version; and retries: the first outcome again, or an honest refusal."""

from __future__ import annotations

from typing import Any, Final

import pytest

from everlog.domain.verdicts import Accepted, Duplicate, Reason, Rejected
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.limits import OPEN_REFERENCES, RING_ACCEPTED, RING_REJECTED, STATE_BYTES
from support.events import value
from support.law import Session, inner, message, reason_of

RUN: Final = {"run": "r", "agent": "planner"}
PARTS: Final = [{"type": "text", "text": "ok"}]
BIG: Final = "x" * (STATE_BYTES - 100)


def batch(*events: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "batch.appended", {"events": list(events)}


def test_a_batch_makes_one_version_and_one_slot_and_everything_in_it_counts() -> None:
    session = Session()
    version = session.accept(
        *batch(
            inner("session.metadata_updated", {"title": "Trip", "labels": {"team": "a"}}),
            inner("run.started", RUN),
            inner("tool_call.requested", {"tool_call": "t", "name": "search", "run": "r"}),
            inner("interrupt.raised", {"interrupt": "i", "reason": "ask", "message": "?", "tool_call": "t"}),
            inner("message.appended", message(run="r")),
            inner("message.appended", message()),
            inner("state.patched", {"set": {"city": "Rome"}}),
            inner("org.example.thing", {"n": 1}),
        ),
        actor="system:x",
    )
    standing, view = session.standing, session.view
    assert (version, standing.version) == (2, 2)
    assert len(standing.ring.accepted) == 2 * 18
    assert (standing.runs, standing.tool_calls, standing.interrupts) == (
        {"r": "system:x"},
        {"t": "system:x"},
        {"i": "system:x"},
    )
    assert (view.title, view.labels, view.messages, view.state) == ("Trip", {"team": "a"}, 2, {"city": "Rome"})
    assert standing.key_version("city") == 2


def test_what_is_opened_in_a_batch_may_be_closed_in_it() -> None:
    session = Session()
    session.accept(
        *batch(
            inner("run.started", RUN),
            inner("run.completed", {"run": "r", "usage": {"input_tokens": 1}}),
            inner("run.started", RUN),
            inner("tool_call.requested", {"tool_call": "t", "name": "search"}),
            inner("tool_call.completed", {"tool_call": "t", "parts": PARTS}),
        )
    )
    assert (session.standing.runs, session.standing.tool_calls) == ({"r": "ada"}, {})


@pytest.mark.parametrize(
    ("events", "refused"),
    [
        ([inner("run.started", RUN), inner("run.started", RUN)], ("already_open", "events[1]", "r")),
        ([inner("run.completed", {"run": "r"}), inner("run.started", RUN)], ("unknown_reference", "events[0]", "r")),
        (
            [inner("message.appended", message()), inner("message.redacted", {"version": 2, "index": 0})],
            ("unknown_reference", "events[1]", "version 2"),
        ),
        (
            [inner("message.appended", message()), inner("message.appended", message(reply_to={"version": 2}))],
            ("unknown_reference", "events[1]", "version 2"),
        ),
        (
            [inner("state.patched", {"set": {"a": BIG}}), inner("state.patched", {"set": {"b": BIG}})],
            ("limit_exceeded", "events[1]", "state_bytes"),
        ),
        (
            [inner("session.metadata_updated", {"labels": {f"{mark}{n}": "" for n in range(40)}}) for mark in "ab"],
            ("limit_exceeded", "events[1]", "labels"),
        ),
        (
            [
                inner("org.example.thing", {}),
                inner("history.compacted", {"from_version": 1, "to_version": 2, "parts": PARTS}),
            ],
            ("unknown_reference", "events[1]", "version 2"),
        ),
    ],
)  # fmt: skip
def test_a_batch_is_refused_as_a_whole_and_names_the_event_that_was(
    events: list[dict[str, Any]], refused: tuple[str, ...]
) -> None:
    session = Session()
    before = session.hash
    opening = [
        inner("state.patched", {"set": {"first": 1}}),
        inner("session.metadata_updated", {"title": "no", "labels": {"no": "no"}}),
        inner("run.started", {"run": "no", "agent": "a"}),
        inner("tool_call.requested", {"tool_call": "no", "name": "n"}),
        inner("interrupt.raised", {"interrupt": "no", "reason": "r", "message": "m"}),
    ]
    index = f"events[{int(refused[1][7]) + len(opening)}]"
    assert session.refuse(*batch(*opening, *events)) == (refused[0], index, *refused[2:])
    assert session.hash == before


def test_a_bound_is_counted_over_what_earlier_events_of_the_batch_leave() -> None:
    session = Session(state={"a": BIG})
    session.accept(*batch(inner("state.patched", {"unset": ["a"]}), inner("state.patched", {"set": {"b": BIG}})))
    for number in range(OPEN_REFERENCES - 1):
        session.accept("run.started", {"run": f"r{number}", "agent": "a"})
    more = [inner("run.started", {"run": f"more{number}", "agent": "a"}) for number in range(2)]
    assert session.refuse(*batch(*more)) == ("limit_exceeded", "events[1]", "open_runs")
    session.accept(*batch(more[0], inner("run.completed", {"run": "more0"}), more[1]))


def test_expected_keys_compare_with_the_standing_before_the_batch() -> None:
    session = Session(state={"city": "Rome"})
    sets = inner("state.patched", {"set": {"city": "Bari"}})
    session.accept(*batch(sets, inner("state.patched", {"expected_keys": {"city": 1}, "set": {"days": 1}})))
    refused = session.refuse(*batch(sets, inner("state.patched", {"expected_keys": {"city": 1, "days": 0}})))
    assert refused == ("key_conflict", "city", "days")


def test_later_events_of_a_batch_win_over_earlier_ones_under_one_version() -> None:
    session = Session()
    session.accept(*batch(inner("state.patched", {"set": {"a": 1}}), inner("state.patched", {"set": {"a": 2, "b": 1}})))
    assert session.view.state == {"a": 2, "b": 1}
    assert session.standing.state_bytes == len('"a"2"b"1')


def test_a_summary_and_an_artifact_of_a_batch_have_its_version() -> None:
    session = Session()
    artifact = {"artifact": "a", "name": "n", "media_type": "m", "size_bytes": 1, "sha256": "0" * 64, "uri": "s3://a"}
    summary = {"from_version": 1, "to_version": 1, "parts": PARTS}
    session.accept(*batch(inner("artifact.added", artifact), inner("history.compacted", summary)))
    assert [listed.version for listed in session.view.artifacts] == [2]
    assert session.view.summary is not None
    assert session.view.summary.version == 2


def test_a_batch_is_judged_as_one_event_by_the_envelopes_checks() -> None:
    session = Session()
    hello = batch(inner("message.appended", message()))
    assert session.refuse(*hello, actor="eve") == ("forbidden",)
    assert session.refuse(*hello, leaseepoch=1) == ("fenced",)
    assert session.refuse(*hello, expectedversion=2) == ("version_conflict",)
    assert session.take(*hello, id="b") == Accepted(2)
    assert session.take(*hello, id="b", retry=True) == Duplicate(Accepted(2))
    session.accept("session.closed", {})
    assert session.refuse(*hello) == ("closed",)


@pytest.mark.parametrize(
    "events",
    [
        [inner("session.closed", {})],
        [inner("participant.left", {"participant": "ada"})],
        [inner("batch.appended", {"events": [inner("org.example.thing", {})]})],
        [inner("never.heard", {})],
        [{"type": "No Type", "data": {}}],
        [{"type": "x", "data": {}}],
        [{"type": "org.example.thing", "data": []}],
        [{"type": "org.example.thing", "data": {}, "id": "x"}],
        [inner("run.started", {"run": "r"})],
    ],
)
def test_a_batch_that_holds_what_it_may_not_hold_is_no_event(events: list[dict[str, Any]]) -> None:
    with pytest.raises(InvalidEventError):
        value("batch.appended", {"events": events})


def test_duplicates_take_no_slot_and_change_nothing() -> None:
    session = Session()
    session.say(id="m")
    session.say(id="stale", expectedversion=9)
    before = session.hash, bytes(session.standing.ring.accepted), bytes(session.standing.ring.rejected)
    for _ in range(3):
        assert session.say(id="m", retry=True, seenversion=1) == Duplicate(Accepted(2))
        assert session.say(id="stale", expectedversion=9) == Duplicate(Rejected(Reason.VERSION_CONFLICT, 2))
        assert reason_of(session.say("other", id="m")) == Reason.ID_REUSED
        assert reason_of(session.say("other", id="stale")) == Reason.ID_REUSED
    assert (session.hash, bytes(session.standing.ring.accepted), bytes(session.standing.ring.rejected)) == before


def test_a_rejected_event_gets_its_rejection_again_even_when_it_would_be_accepted_now() -> None:
    session = Session()
    session.say(id="early", expectedversion=2)
    session.say()
    assert session.say(id="early", expectedversion=2) == Duplicate(Rejected(Reason.VERSION_CONFLICT, 1))


def test_an_event_rejected_more_than_64_rejections_ago_is_judged_again() -> None:
    session = Session()
    assert reason_of(session.say(id="early", expectedversion=2)) == Reason.VERSION_CONFLICT
    for _ in range(RING_REJECTED - 1):
        session.say(expectedversion=9)
    session.say()
    assert session.say(id="early", expectedversion=2) == Duplicate(Rejected(Reason.VERSION_CONFLICT, 1))
    session.say(expectedversion=9)
    assert session.say(id="early", expectedversion=2) == Accepted(3)


@pytest.mark.parametrize(("seen", "expired"), [(0, True), (1, True), (2, False), (257, False), (999, False)])
def test_a_retry_is_refused_once_its_first_outcome_may_have_left_the_ring(seen: int, expired: bool) -> None:
    session = Session()
    for _ in range(RING_ACCEPTED + 1):
        session.say()
    assert session.standing.version == RING_ACCEPTED + 2
    if expired:
        assert reason_of(session.say(retry=True, seenversion=seen)) == Reason.RETRY_EXPIRED
        assert reason_of(session.say(retry=True)) == Reason.RETRY_EXPIRED
    else:
        assert session.say(retry=True, seenversion=seen) == Accepted(RING_ACCEPTED + 3)


def test_a_first_hand_over_never_expires_whatever_version_was_seen() -> None:
    session = Session()
    for _ in range(RING_ACCEPTED + 1):
        session.say()
    assert session.say(seenversion=1) == Accepted(RING_ACCEPTED + 3)


def test_rejections_that_speak_of_an_earlier_event_take_no_slot() -> None:
    session = Session()
    for _ in range(RING_ACCEPTED + 1):
        session.say(id="m")
        session.say()
    rejected = bytes(session.standing.ring.rejected)
    session.say("other", id="m")
    session.say(retry=True, seenversion=1)
    assert bytes(session.standing.ring.rejected) == rejected


def test_every_other_rejection_takes_one() -> None:
    session = Session()
    session.say(actor="eve")
    session.say(leaseepoch=4)
    session.say(expectedversion=4)
    session.take("run.completed", {"run": "r"})
    session.take("session.created", {"owner": "bob"})
    assert len(session.standing.ring.rejected) == 5 * 18
