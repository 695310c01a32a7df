"""Early verdicts: each of the few that are certain, and proof that every other event is left to the log."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings

from everlog.domain.event import Event
from everlog.domain.law import LAW
from everlog.domain.standing import Standing
from everlog.domain.state import State
from everlog.domain.verdicts import Accepted, Duplicate, Reason, Rejected
from everlog.gateway.early import early_verdict, has_conditions
from everlog.schemas.limits import RING_ACCEPTED
from support.events import event
from support.generated import histories, proposals
from support.law import Session, inner, message, sealed


def said(text: str = "hi", **attributes: Any) -> Event:
    return event("message.appended", message(text), **attributes)


def patched(expected: dict[str, int], **attributes: Any) -> Event:
    return event("state.patched", {"set": {"b": 1}, "expected_keys": expected}, **attributes)


def early(session: Session, proposed: Event) -> Reason | None:
    """The reason of the early rejection; it is the law's own verdict, and changes nothing."""
    before = session.hash
    verdict = early_verdict(session.standing, proposed)
    assert session.hash == before
    if verdict is None:
        return None
    assert verdict == session.step(proposed)
    assert isinstance(verdict, Rejected)
    return verdict.reason


@pytest.fixture
def session() -> Session:
    return Session(state={"a": 1})


def test_a_retry_gets_the_first_outcome(session: Session) -> None:
    session.say(id="once")
    session.say("late", id="refused", expectedversion=1)
    assert early_verdict(session.standing, said(id="once")) == Duplicate(Accepted(2))
    refused = said("late", id="refused", expectedversion=1, retry=True)
    assert early_verdict(session.standing, refused) == Duplicate(Rejected(Reason.VERSION_CONFLICT, 2))


def test_an_id_with_other_content_is_reused(session: Session) -> None:
    session.say(id="once")
    assert early(session, said("other", id="once")) is Reason.ID_REUSED


def test_a_retry_that_may_have_left_the_ring_has_expired(session: Session) -> None:
    for number in range(RING_ACCEPTED):
        session.say(f"m{number}")
    assert early(session, said(retry=True, seenversion=1)) is None
    assert early(session, said(retry=True, seenversion=0)) is Reason.RETRY_EXPIRED


def test_a_session_exists_for_ever(session: Session) -> None:
    assert early(session, event("session.created", {"owner": "bob"})) is Reason.EXISTS
    same = event("session.created", {"owner": "ada", "state": {"a": 1}})
    assert early_verdict(session.standing, same) == Duplicate(Accepted(1))


def test_an_erased_session_takes_nothing(session: Session) -> None:
    session.accept("session.erased", {"reason": "asked", "requested_by": "ada"}, actor="system:x")
    assert early(session, said()) is Reason.ERASED


def test_a_version_that_was_passed_conflicts_and_one_to_come_does_not(session: Session) -> None:
    session.say()
    assert early(session, said(expectedversion=1)) is Reason.VERSION_CONFLICT
    assert early(session, said(expectedversion=0)) is Reason.VERSION_CONFLICT
    assert early(session, said(expectedversion=2)) is None
    assert early(session, said(expectedversion=3)) is None


@pytest.mark.parametrize("batched", [False, True])
def test_a_key_that_was_set_again_conflicts(session: Session, batched: bool) -> None:
    def proposed(expected: dict[str, int]) -> Event:
        if not batched:
            return patched(expected)
        data = {"set": {"b": 1}, "expected_keys": expected}
        return event("batch.appended", {"events": [inner("state.patched", data), inner("state.patched", {})]})

    session.accept("state.patched", {"set": {"a": 2}})
    assert early(session, proposed({"a": 1})) is Reason.KEY_CONFLICT
    assert early(session, proposed({"a": 3})) is None, "it may be set at version 3 by what is on the log already"
    assert early(session, proposed({"a": 2})) is None


def test_a_key_that_should_be_absent_may_be_removed_before_the_event_comes(session: Session) -> None:
    assert early_verdict(session.standing, patched({"a": 0})) is None
    session.accept("state.patched", {"unset": ["a"]})
    assert isinstance(session.step(patched({"a": 0})), Accepted)


def test_an_epoch_that_was_overtaken_is_fenced(session: Session) -> None:
    session.join("bot", kind="agent")
    first = session.acquire("bot")
    second = session.acquire("bot", supersedes=first)
    assert early(session, said(actor="bot", leaseepoch=first)) is Reason.FENCED
    assert early(session, said(actor="bot", leaseepoch=second)) is None
    assert early_verdict(session.standing, said(actor="bot", leaseepoch=second + 1)) is None
    assert early_verdict(session.standing, said(actor="bot")) is None
    session.accept("lease.released", {"participant": "bot", "epoch": second}, actor="bot", leaseepoch=second)
    assert early_verdict(session.standing, said(actor="bot", leaseepoch=second)) is None


OPEN: list[tuple[Reason, str, dict[str, Any], dict[str, Any]]] = [
    (Reason.FORBIDDEN, "message.appended", message(), {"actor": "eve"}),
    (Reason.FENCED, "message.appended", message(), {"actor": "bot"}),
    (Reason.HELD, "lease.acquired", {"participant": "bob", "ttl_s": 30, "supersedes": 0}, {"actor": "bob"}),
    (Reason.UNKNOWN_REFERENCE, "run.completed", {"run": "none"}, {}),
    (Reason.ALREADY_OPEN, "run.started", {"run": "open", "agent": "a"}, {}),
    (Reason.LIMIT_EXCEEDED, "state.patched", {"set": {f"k{n}": sealed(9_000) for n in range(4)}}, {}),
]


@pytest.mark.parametrize(("reason", "type_name", "data", "attributes"), OPEN)
def test_what_may_change_is_left_to_the_log(
    session: Session, reason: Reason, type_name: str, data: dict[str, Any], attributes: dict[str, Any]
) -> None:
    session.join("bot", kind="agent")
    session.join("bob")
    session.acquire("bob")
    session.accept("run.started", {"run": "open", "agent": "a"})
    proposed = event(type_name, data, **attributes)
    assert early_verdict(session.standing, proposed) is None
    verdict = session.step(proposed)
    assert isinstance(verdict, Rejected)
    assert verdict.reason is reason


@pytest.mark.parametrize(("type_name", "reason"), [("suspended", Reason.DORMANT), ("closed", Reason.CLOSED)])
def test_a_session_that_sleeps_or_is_closed_may_wake(session: Session, type_name: str, reason: Reason) -> None:
    session.accept(f"session.{type_name}", {})
    assert early_verdict(session.standing, said()) is None
    verdict = session.step(said())
    assert isinstance(verdict, Rejected)
    assert verdict.reason is reason


def test_a_standing_of_rules_that_this_door_does_not_know_answers_nothing(session: Session) -> None:
    session.standing.rules = 99
    assert early_verdict(session.standing, said(expectedversion=0)) is None


def test_only_events_that_expect_something_and_retries_need_a_look() -> None:
    assert not has_conditions(said())
    assert not has_conditions(said(leaseepoch=3))
    assert not has_conditions(event("batch.appended", {"events": [inner("state.patched", {"set": {"a": 1}})]}))
    assert has_conditions(said(expectedversion=3))
    assert has_conditions(said(retry=True, seenversion=1))
    assert has_conditions(patched({"a": 0}))
    assert has_conditions(
        event("batch.appended", {"events": [inner("state.patched", {"unset": ["a"], "expected_keys": {"a": 1}})]})
    )


def folded(values: list[bytes]) -> list[tuple[Standing, frozenset[str]]]:
    """The standing after each record, where there is a session, and the ids that were judged by then."""
    state: State | None = None
    seen: set[str] = set()
    standings = []
    for raw in values:
        decoded = LAW.decode(raw)
        if isinstance(decoded, Event):
            state, _ = LAW.step(state, decoded)
            seen.add(decoded.id)
        if state is not None:
            standings.append((copy.deepcopy(state.standing), frozenset(seen)))
    return standings


@given(history=histories(), proposed=proposals())
@settings(max_examples=400, deadline=None)
def test_no_later_standing_would_accept_what_was_refused_early(history: list[bytes], proposed: bytes) -> None:
    decoded = LAW.decode(proposed)
    if not isinstance(decoded, Event):
        return
    standings = folded(history)
    for at, (standing, ids) in enumerate(standings):
        verdict = early_verdict(standing, decoded)
        if verdict is None:
            continue
        if isinstance(verdict, Duplicate) or verdict.reason is Reason.ID_REUSED:
            assert decoded.id in ids or verdict == Duplicate(Accepted(1))
        for later, _ in standings[at:]:
            assert not isinstance(LAW.judge(later, decoded), Accepted)
