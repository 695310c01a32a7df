"""What sessions are found by: only what is clear, and never a failure."""

from __future__ import annotations

import pytest

from everlog.domain.searching import WORD_CHARACTERS, WORDS, Query, found_by, label_terms, words_of
from everlog.domain.state import State, evolve
from everlog.domain.stored import StoredSession, Stub
from support.events import KEY, event

SEALED = {"enc": {"key": "k", "nonce": "A" * 16, "text": "A" * 24, "size": 2, "mac": "A" * 22}}


def state(**data: object) -> State:
    return evolve(None, event("session.created", {"owner": "ada", **data}), 1)


def test_a_session_is_found_by_its_words_labels_and_who_is_present() -> None:
    member = {"participant": "planner", "principal": "mad-7", "kind": "agent"}
    shown = state(title="Trip to Rome", labels={"team": "support"}, participants=[member])
    found = found_by(StoredSession(KEY, 0, 3, 0, shown), 2_000_000_000_000)
    assert found is not None
    assert found.labels == ["team", "team=support"] and found.words == ("rome", "42", "trip", "to")
    assert found.participants == ["ada", "planner", "mad-7"] and found.principals == ["ada", "mad-7"]
    assert (found.tenant, found.status, found.updated_ms) == ("acme", "active", 1_767_323_045_678)


def test_encrypted_content_is_never_found_but_its_labels_name_is() -> None:
    found = found_by(StoredSession(KEY, 0, 3, 0, state(title=SEALED, labels={"team": SEALED})), 0)
    assert found is not None and found.labels == ["team"] and found.words == ("rome", "42")


def test_a_stub_is_found_by_status_and_labels() -> None:
    found = found_by(StoredSession(KEY, 0, 3, 0, None, stub=Stub(7, "closed", {"a": "b"}, "")), 9)
    assert found is not None and (found.status, found.labels, found.updated_ms) == ("closed", ["a", "a=b"], 0)


def test_what_is_no_session_is_not_found() -> None:
    assert found_by(StoredSession(KEY, 0, 3, 0, None), 9) is None


def test_of_an_erased_session_nobody_is_present() -> None:
    erased = evolve(state(), event("session.erased", {"reason": "asked", "requested_by": "ada"}), 2)
    found = found_by(StoredSession(KEY, 0, 3, 0, erased), 9)
    assert found is not None and (found.status, found.participants, found.principals) == ("erased", [], [])


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-01-02T03:04:60Z", 1_767_323_099_000),
        ("2026-02-30T00:00:00Z", 0),
        ("0000-01-01T00:00:00Z", 0),
        ("9999-12-31T23:59:59Z", 2_000_000_000_000),
    ],
)
def test_no_producers_clock_makes_it_fail(time: str, expected: int) -> None:
    shown = state()
    shown.view.updated_at = time
    found = found_by(StoredSession(KEY, 0, 3, 0, shown), 2_000_000_000_000)
    assert found is not None and found.updated_ms == expected


def test_words_are_bounded() -> None:
    assert len(words_of(" ".join(map(str, range(500))))) == WORDS
    assert words_of("x" * 500) == ("x" * WORD_CHARACTERS,)


def test_a_label_may_be_split_at_any_colon() -> None:
    assert label_terms("a:b:c") == ["a:b:c", "a=b:c", "a:b=c"]
    assert label_terms("team") == ["team"]


def test_all_conditions_of_a_query_hold() -> None:
    found = found_by(StoredSession(KEY, 0, 3, 0, state(labels={"a": "b"})), 2_000_000_000_000)
    assert found is not None
    assert Query("acme", "active", [["a=b"]], "ada", "ada", ["ro"], before=(found.updated_ms, KEY + "0")).finds(
        KEY, found
    )
    for query in (
        Query("other"),
        Query("acme", status="closed"),
        Query("acme", labels=[["a"], ["c"]]),
        Query("acme", participant="bob"),
        Query("acme", principal="bob"),
        Query("acme", words=["ome"]),
        Query("acme", has_interrupts=True),
        Query("acme", before=(found.updated_ms, KEY)),
    ):
        assert not query.finds(KEY, found)
