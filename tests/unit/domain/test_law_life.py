"""A session's life: created, updated, suspended, resumed, closed, reopened, rewound, erased."""

from __future__ import annotations

from typing import Any, Final

import pytest

from everlog.domain.law import LAW
from everlog.domain.ring import Ring
from everlog.domain.verdicts import Accepted, Duplicate
from everlog.domain.view import Fork, SummaryPointer, Usage
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.limits import PRESENT_PARTICIPANTS
from support.events import KEY, event, value
from support.law import Session, message, sealed

BOB: Final = {"participant": "bob", "principal": "bob-abroad", "kind": "agent", "role": "viewer"}
PARTS: Final = [{"type": "text", "text": "They chose Rome."}]
SUMMARY: Final = {"from_version": 1, "to_version": 7, "parts": PARTS}
ERASED: Final[dict[str, Any]] = {"reason": "asked", "requested_by": "ada"}


def full() -> Session:
    """A session that has something of everything."""
    session = Session(title="Trip", labels={"team": "support"}, state={"city": "Rome"}, participants=[BOB])
    session.accept("run.started", {"run": "r", "agent": "planner"})
    session.accept("tool_call.requested", {"tool_call": "t", "name": "search", "run": "r"})
    session.accept("interrupt.raised", {"interrupt": "i", "reason": "approval", "message": "?", "tool_call": "t"})
    session.accept("run.started", {"run": "done", "agent": "planner"})
    session.accept("run.completed", {"run": "done", "usage": {"input_tokens": 5}})
    artifact = {"artifact": "a", "name": "plan.pdf", "media_type": "application/pdf", "size_bytes": 1}
    session.accept("artifact.added", {**artifact, "sha256": "0" * 64, "uri": "s3://plans/a"})
    session.accept("message.appended", message())
    session.accept("history.compacted", {"from_version": 1, "to_version": 2, "parts": PARTS})
    return session


def test_a_creation_says_who_is_in_the_session_and_what_it_is_about() -> None:
    session = Session(title="Trip", labels={"team": "support"}, state={"city": "Rome"}, participants=[BOB])
    standing, view = session.standing, session.view
    assert (standing.version, standing.status, standing.rules, standing.owner) == (1, "active", 1, "ada")
    owner, bob = standing.roster["ada"], standing.roster["bob"]
    assert (owner.principal, owner.role, owner.kind, owner.present) == ("ada", "owner", "human", True)
    assert (bob.principal, bob.role, bob.kind, bob.present) == ("bob-abroad", "viewer", "agent", True)
    assert standing.present == 2
    assert (standing.keys["city"].version, standing.key_version("city"), standing.key_version("other")) == (1, 1, 0)
    assert standing.state_bytes == len('"city"') + len('"Rome"')
    assert standing.labels == {"team"}
    assert (view.title, view.labels, view.state) == ("Trip", {"team": "support"}, {"city": "Rome"})
    assert view.created_at == view.updated_at == "2026-01-02T03:04:05.678Z"
    assert (view.forked_from, view.summary, view.messages) == (None, None, 0)


def test_the_kind_of_the_owner_is_kept() -> None:
    assert Session(owner_kind="service").standing.roster["ada"].kind == "service"


def test_a_fork_knows_its_parent_and_its_summary() -> None:
    session = Session(forked_from={"session": "parent", "version": 7}, summary=SUMMARY)
    assert session.view.forked_from == Fork("parent", 7)
    assert session.view.summary == SummaryPointer(1, 1, 7)


def test_the_creation_again_under_another_id_is_a_duplicate_whatever_became_of_the_session() -> None:
    session = full()
    data = {"owner": "ada", "title": "Trip", "labels": {"team": "support"}, "state": {"city": "Rome"}}
    again = event("session.created", {**data, "participants": [BOB]}, retry=True, time="2027-01-01T00:00:00Z")
    assert session.step(again) == Duplicate(Accepted(1))
    assert session.refuse("session.created", {**data, "participants": []}) == ("exists",)
    session.accept("session.closed", {})
    assert session.step(event("session.created", {**data, "participants": [BOB]})) == Duplicate(Accepted(1))


@pytest.mark.parametrize(
    "data",
    [
        {"owner": "system:clock"},
        {"participants": [{**BOB, "participant": "system:clock"}]},
        {"participants": [BOB, BOB]},
        {"participants": [{**BOB, "participant": "ada"}]},
        {"summary": {**SUMMARY, "from_version": 8}},
        {"participants": [{**BOB, "participant": f"p{number}"} for number in range(PRESENT_PARTICIPANTS)]},
    ],
)
def test_a_creation_with_impossible_data_is_no_event(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidEventError):
        value("session.created", {"owner": "ada", **data})


def test_metadata_is_merged() -> None:
    session = Session(title="Trip", labels={"team": "support", "stage": "new"})
    session.accept("session.metadata_updated", {"labels": {"stage": None, "lang": "it", "never": None}})
    assert (session.view.title, session.view.labels) == ("Trip", {"team": "support", "lang": "it"})
    assert session.standing.labels == {"team", "lang"}
    session.accept("session.metadata_updated", {"title": "Journey"})
    assert session.view.title == "Journey"
    session.accept("session.metadata_updated", {"title": None, "labels": {"team": sealed(5)}})
    assert (session.view.title, session.view.labels) == (None, {"team": sealed(5), "lang": "it"})
    session.accept("session.metadata_updated", {"title": sealed(9)})
    assert session.view.title == sealed(9)


def test_every_accepted_event_moves_the_updated_time_and_no_rejected_one_does() -> None:
    session = Session()
    session.say(time="2026-02-01T00:00:00Z")
    session.say(time="2026-03-01T00:00:00Z", expectedversion=9)
    assert session.view.created_at == "2026-01-02T03:04:05.678Z"
    assert session.view.updated_at == "2026-02-01T00:00:00Z"


TAKEN: Final = {
    "active": {"suspended", "resumed", "closed", "reopened", "erased"},
    "dormant": {"resumed", "closed", "erased"},
    "closed": {"reopened", "erased"},
}
AFTER: Final = {
    "suspended": "dormant",
    "resumed": "active",
    "closed": "closed",
    "reopened": "active",
    "erased": "erased",
}


@pytest.mark.parametrize("status", TAKEN)
@pytest.mark.parametrize("name", AFTER)
def test_each_status_takes_the_changes_of_its_own(status: str, name: str) -> None:
    session = Session()
    if status != "active":
        session.accept({"dormant": "session.suspended", "closed": "session.closed"}[status], {})
    data = ERASED if name == "erased" else {}
    if name in TAKEN[status]:
        session.accept(f"session.{name}", data)
        assert session.standing.status == AFTER[name]
    else:
        assert session.refuse(f"session.{name}", data) == (status,)


def test_suspending_frees_every_lease_and_abandons_nothing() -> None:
    session = full()
    assert session.acquire("ada") == 10
    session.accept("session.suspended", {}, leaseepoch=10)
    assert session.standing.lease_epoch("ada") == 0
    assert (set(session.standing.runs), set(session.standing.tool_calls)) == ({"r"}, {"t"})
    assert set(session.standing.interrupts) == {"i"}
    session.accept("session.resumed", {})
    session.accept("run.completed", {"run": "r"})


def test_closing_frees_every_lease_and_abandons_what_is_open() -> None:
    session = full()
    session.accept("session.closed", {"outcome": "booked"}, leaseepoch=session.acquire("ada"))
    standing = session.standing
    assert standing.lease_epoch("ada") == 0
    assert (standing.runs, standing.tool_calls, standing.interrupts) == ({}, {}, {})
    assert standing.present == 2
    session.accept("session.reopened", {})
    assert session.refuse("run.completed", {"run": "r"}) == ("unknown_reference", "r")


def test_erasing_leaves_identity_and_version_and_nothing_else() -> None:
    session = full()
    session.accept("session.erased", ERASED, time="2026-05-01T00:00:00Z")
    assert session.state is not None
    assert session.state.key == KEY
    standing, view = session.standing, session.view
    assert (standing.version, standing.status, standing.rules) == (10, "erased", 1)
    assert (standing.owner, standing.creation, standing.roster, standing.present) == ("", b"", {}, 0)
    assert (standing.keys, standing.state_bytes, standing.labels) == ({}, 0, set())
    assert (standing.runs, standing.tool_calls, standing.interrupts, standing.ring) == ({}, {}, {}, Ring())
    assert (view.title, view.labels, view.state, view.artifacts) == (None, {}, {}, [])
    assert (view.usage, view.messages, view.summary, view.forked_from) == (Usage(), 0, None, None)
    assert (view.created_at, view.updated_at) == ("2026-01-02T03:04:05.678Z", "2026-05-01T00:00:00Z")


@pytest.mark.parametrize("type_name", ["session.created", "session.erased", "org.example.thing", "message.appended"])
def test_an_erased_session_refuses_whatever_comes_and_remembers_none_of_it(type_name: str) -> None:
    data = {"session.created": {"owner": "ada"}, "session.erased": ERASED, "message.appended": message()}
    session = Session()
    session.accept("session.erased", ERASED)
    before = session.hash
    assert session.refuse(type_name, data.get(type_name, {}), actor="system:janitor") == ("erased",)
    assert (session.hash, session.standing.ring) == (before, Ring())


def test_only_who_governs_a_session_erases_it() -> None:
    for actor in ("bob", "eve", "mallory"):
        session = Session()
        session.join("bob")
        assert session.refuse("session.erased", ERASED, actor=actor) == ("forbidden",)
    for actor in ("ada", "system:janitor", "olga"):
        session = Session()
        session.join("olga", role="owner")
        session.accept("session.erased", ERASED, actor=actor)


def test_rewinding_brings_back_what_it_carries_and_keeps_the_rest() -> None:
    session = full()
    session.accept("state.patched", {"set": {"hotel": "Lux", "city": "Bari"}})
    epoch = session.acquire("ada")
    roster, ring = set(session.standing.roster), len(session.standing.ring.accepted)
    data = {"to_version": 1, "title": "Trip", "labels": {"lang": "it"}, "state": {"city": "Rome"}, "summary": SUMMARY}
    version = session.accept("session.rewound", data, expectedversion=11, leaseepoch=epoch)
    standing, view = session.standing, session.view
    assert (view.title, view.labels, view.state) == ("Trip", {"lang": "it"}, {"city": "Rome"})
    assert view.summary == SummaryPointer(version, 1, 7)
    assert (standing.labels, set(standing.keys), standing.key_version("city")) == ({"lang"}, {"city"}, version)
    assert standing.state_bytes == len('"city"') + len('"Rome"')
    assert (set(standing.roster), standing.lease_epoch("ada")) == (roster, epoch)
    assert (set(standing.runs), set(standing.tool_calls), set(standing.interrupts)) == ({"r"}, {"t"}, {"i"})
    assert (view.usage.input_tokens, len(view.artifacts), view.messages) == (5, 1, 1)
    assert len(standing.ring.accepted) > ring
    assert session.refuse("state.patched", {"expected_keys": {"hotel": 10}}, leaseepoch=epoch) == (
        "key_conflict",
        "hotel",
    )


def test_rewinding_without_content_empties_title_labels_state_and_summary() -> None:
    session = full()
    session.accept("session.rewound", {"to_version": 9}, expectedversion=9)
    view = session.view
    assert (view.title, view.labels, view.state, view.summary) == (None, {}, {}, None)
    assert (session.standing.labels, session.standing.keys, session.standing.state_bytes) == (set(), {}, 0)


def test_rewinding_to_the_future_or_from_another_version_is_refused() -> None:
    session = Session()
    assert session.refuse("session.rewound", {"to_version": 2}, expectedversion=1) == ("unknown_reference", "version 2")
    assert session.refuse("session.rewound", {"to_version": 1}, expectedversion=2) == ("version_conflict",)
    session.accept("session.rewound", {"to_version": 1}, expectedversion=1)


def test_rewinding_without_an_expected_version_is_no_event() -> None:
    with pytest.raises(InvalidEventError, match="needs expectedversion"):
        value("session.rewound", {"to_version": 1})
    raw = value("session.rewound", {"to_version": 1}, expectedversion=1)
    assert "needs expectedversion" in str(LAW.decode(raw.replace(b',"expectedversion":1', b"")))


def test_an_own_type_of_an_application_is_counted_and_changes_nothing_else() -> None:
    session = full()
    standing, view = session.standing, session.view
    before = (dict(standing.roster), dict(standing.keys), dict(standing.runs), view.messages, dict(view.state))
    assert session.accept("org.example.thing", {"set": {"city": "Bari"}}) == 10
    assert before == (dict(standing.roster), dict(standing.keys), dict(standing.runs), view.messages, dict(view.state))
