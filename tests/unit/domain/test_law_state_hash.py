"""The state hash: one history, one hash, in every process and whatever the order of keys."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from everlog.domain.state import State, state_hash
from support.law import Session, message, sealed

HISTORY: Final[list[tuple[str, dict[str, Any]]]] = [
    (
        "session.metadata_updated",
        {"title": sealed(9), "labels": {"team": "support", "lang": "it", "stage": "new", "city": "Rome"}},
    ),
    ("participant.joined", {"participant": "bob", "principal": "bob-abroad", "kind": "human"}),
    ("state.patched", {"set": {"city": "Rome", "é": {"b": 1, "a": [1, 0.5, None]}, "days": 3}}),
    ("run.started", {"run": "r-1", "agent": "planner"}),
    ("run.started", {"run": "r-2", "agent": "planner"}),
    ("run.completed", {"run": "r-2", "usage": {"input_tokens": 7, "cost_micros": 9}}),
    ("tool_call.requested", {"tool_call": "t-1", "name": "search", "run": "r-1"}),
    ("interrupt.raised", {"interrupt": "i-1", "reason": "approval", "message": "Book it?"}),
    ("message.appended", message("hello")),
    ("lease.acquired", {"participant": "ada", "ttl_s": 30}),
]
KNOWN: Final = "f09af7e6bf56638a7a53470d6c22cb9cce938b5c00b90e8045474df0ddf029e4"
"""Of ``HISTORY`` under fold version 1. A change here is a change of what was promised for ever: it needs a new fold
version or new rules, never another number in this line."""


def told() -> Session:
    session = Session(title="Trip", state={"hotel": "Lux"})
    for type_name, data in HISTORY:
        session.accept(type_name, data)
    return session


def test_the_hash_of_a_history_is_what_it_was_from_the_first_day_on() -> None:
    assert told().hash == KNOWN


def test_the_hash_is_the_same_in_every_process() -> None:
    found = set()
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        script = f"import runpy; print(runpy.run_path({__file__!r})['told']().hash)"
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        found.add(done.stdout.strip())
    assert found == {KNOWN}


def backwards(value: Any) -> Any:
    """The same value with every object's keys in reverse."""
    if isinstance(value, dict):
        return {key: backwards(item) for key, item in reversed(value.items())}
    return [backwards(item) for item in value] if isinstance(value, list) else value


def test_the_order_of_keys_does_not_count() -> None:
    state = told().state
    assert state is not None
    built = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State)
    for holder, names in (
        (built.standing, ("roster", "keys", "runs", "tool_calls", "interrupts")),
        (built.view, ("labels", "state")),
    ):
        for name in names:
            setattr(holder, name, backwards(getattr(holder, name)))
    assert state_hash(built) == KNOWN


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("standing", "version", 12),
        ("standing", "status", "dormant"),
        ("standing", "owner", "bob"),
        ("standing", "creation", b"other"),
        ("standing", "roster", {}),
        ("standing", "keys", {}),
        ("standing", "labels", set()),
        ("standing", "state_bytes", 1),
        ("standing", "present", 1),
        ("standing", "runs", {}),
        ("standing", "tool_calls", {}),
        ("standing", "interrupts", {}),
        ("view", "created_at", ""),
        ("view", "updated_at", ""),
        ("view", "title", None),
        ("view", "labels", {}),
        ("view", "state", {}),
        ("view", "usage", None),
        ("view", "messages", 0),
        ("view", "artifacts", [1]),
        ("view", "summary", 1),
        ("view", "forked_from", 1),
    ],
)
def test_everything_but_outcomes_and_rules_counts(part: str, name: str, value: Any) -> None:
    state = told().state
    assert state is not None
    setattr(getattr(state, part), name, value)
    assert state_hash(state) != KNOWN


def test_identity_counts_and_outcomes_and_rules_do_not() -> None:
    session = told()
    session.say(expectedversion=1)
    session.standing.rules = 9
    assert session.hash == KNOWN
    assert session.state is not None
    session.state.key = "acme/other"
    assert session.hash != KNOWN
