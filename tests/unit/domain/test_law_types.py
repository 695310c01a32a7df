"""Runs, messages, tool calls, interrupts, state, artifacts, summaries: what each may name, and what it leaves."""

from __future__ import annotations

from typing import Any, Final

import pytest

from everlog.domain.event import Event, Payload
from everlog.domain.law import LAW
from everlog.domain.registry import BATCHABLE, RULES_1, payload_type
from everlog.domain.types.custom import Custom
from everlog.domain.view import Artifact, SummaryPointer, Usage
from everlog.schemas.catalogue import PAYLOADS, TYPE_NAMES, TypeName
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.limits import SAFE_INTEGER
from support.events import value
from support.law import Session, message

RUN: Final = {"run": "r", "agent": "planner"}
CALL: Final = {"tool_call": "t", "name": "search"}
ASK: Final = {"interrupt": "i", "reason": "approval", "message": "Book it?"}
PROBLEM: Final = {"type": "timeout", "message": "too slow"}
PARTS: Final = [{"type": "text", "text": "ok"}]
RUN_ENDS: Final = [("run.completed", {}), ("run.failed", {"error": PROBLEM}), ("run.canceled", {"reason": "enough"})]
CALL_ENDS: Final = [
    ("tool_call.completed", {"parts": PARTS, "duration_ms": 7}),
    ("tool_call.failed", {"error": PROBLEM}),
]
ARTIFACT: Final = {"artifact": "a", "name": "plan", "media_type": "text/plain", "size_bytes": 1, "sha256": "0" * 64}


def unknown(name: str) -> tuple[str, ...]:
    return ("unknown_reference", name)


@pytest.mark.parametrize(("type_name", "data"), RUN_ENDS)
def test_a_run_is_open_from_its_start_to_its_end(type_name: str, data: dict[str, Any]) -> None:
    session = Session()
    assert session.refuse(type_name, {"run": "r", **data}) == unknown("r")
    session.accept("run.started", RUN)
    assert session.standing.runs == {"r": "ada"}
    assert session.refuse("run.started", RUN) == ("already_open", "r")
    session.accept(type_name, {"run": "r", **data})
    assert session.standing.runs == {}
    assert session.refuse(type_name, {"run": "r", **data}) == unknown("r")
    session.accept("run.started", RUN)


def test_a_run_belongs_to_an_open_run_only() -> None:
    session = Session()
    assert session.refuse("run.started", {**RUN, "parent_run": "r"}) == unknown("r")
    session.accept("run.started", RUN)
    session.accept("run.started", {"run": "child", "agent": "searcher", "parent_run": "r"}, actor="system:x")
    assert session.standing.runs == {"r": "ada", "child": "system:x"}


def test_the_usage_of_completed_runs_adds_up_and_stops_at_the_largest_safe_integer() -> None:
    session = Session()
    for used in ({"input_tokens": 1, "output_tokens": 20, "cost_micros": 300}, {"output_tokens": 3}, None):
        session.accept("run.started", RUN)
        session.accept("run.completed", {"run": "r", **({"usage": used} if used is not None else {})})
    assert session.view.usage == Usage(1, 23, 300)
    session.accept("run.started", RUN)
    most = {"input_tokens": SAFE_INTEGER, "output_tokens": SAFE_INTEGER, "cost_micros": SAFE_INTEGER}
    session.accept("run.completed", {"run": "r", "usage": most})
    assert session.view.usage == Usage(SAFE_INTEGER, SAFE_INTEGER, SAFE_INTEGER)


def test_a_message_names_open_runs_and_versions_that_are_there() -> None:
    session = Session()
    assert session.refuse("message.appended", message(run="r")) == unknown("r")
    assert session.refuse("message.appended", message(reply_to={"version": 2})) == unknown("version 2")
    session.accept("message.appended", message(reply_to={"version": 1}, author="carl"))
    session.accept("run.started", RUN)
    session.accept("message.appended", message(run="r", reply_to={"version": 2, "index": 3}))
    assert session.view.messages == 2


@pytest.mark.parametrize(("type_name", "data"), [("message.edited", {"parts": PARTS}), ("message.redacted", {})])
def test_a_message_is_changed_by_a_version_that_is_there(type_name: str, data: dict[str, Any]) -> None:
    session = Session()
    assert session.refuse(type_name, {"version": 2, **data}) == unknown("version 2")
    session.accept("message.appended", message())
    before = session.hash
    assert session.accept(type_name, {"version": 2, "index": 0, **data}) == 3
    assert session.view.messages == 1
    assert session.hash != before


@pytest.mark.parametrize(("type_name", "data"), CALL_ENDS)
def test_a_tool_call_is_open_from_its_request_to_its_answer(type_name: str, data: dict[str, Any]) -> None:
    session = Session()
    assert session.refuse(type_name, {"tool_call": "t", **data}) == unknown("t")
    assert session.refuse("tool_call.requested", {**CALL, "run": "r"}) == unknown("r")
    session.accept("run.started", RUN)
    session.accept("tool_call.requested", {**CALL, "run": "r", "arguments": {"q": "hotels"}})
    assert session.standing.tool_calls == {"t": "ada"}
    assert session.refuse("tool_call.requested", CALL) == ("already_open", "t")
    session.accept("run.completed", {"run": "r"})
    session.accept(type_name, {"tool_call": "t", **data})
    assert session.standing.tool_calls == {}


def test_an_interrupt_is_open_until_it_is_resolved() -> None:
    session = Session()
    resolved = {"interrupt": "i", "status": "resolved", "payload": {"approved": True}}
    assert session.refuse("interrupt.resolved", resolved) == unknown("i")
    assert session.refuse("interrupt.raised", {**ASK, "tool_call": "t"}) == unknown("t")
    session.accept("tool_call.requested", CALL)
    session.accept("interrupt.raised", {**ASK, "tool_call": "t", "response_schema": {"type": "object"}})
    assert session.standing.interrupts == {"i": "ada"}
    assert session.refuse("interrupt.raised", ASK) == ("already_open", "i")
    session.accept("interrupt.resolved", resolved)
    assert session.standing.interrupts == {}


def test_keys_are_removed_then_set_and_each_has_the_version_that_last_set_it() -> None:
    session = Session(state={"city": "Rome", "days": 3, "hotel": "Lux"})
    session.accept("state.patched", {"set": {"city": "Bari", "new": None}, "unset": ["city", "days", "never"]})
    assert session.view.state == {"hotel": "Lux", "city": "Bari", "new": None}
    assert {key: entry.version for key, entry in session.standing.keys.items()} == {"hotel": 1, "city": 2, "new": 2}
    sizes = len('"hotel""Lux"'), len('"city""Bari"'), len('"new"null')
    assert session.standing.state_bytes == sum(sizes)


def test_an_expected_key_version_is_zero_for_an_absent_key_and_conflicts_name_the_keys() -> None:
    session = Session(state={"city": "Rome", "days": 3})
    session.accept("state.patched", {"unset": ["days"]})
    stale = {"expected_keys": {"city": 0, "days": 1, "new": 0}, "set": {"city": "Bari"}}
    assert session.refuse("state.patched", stale) == ("key_conflict", "city", "days")
    session.accept("state.patched", {"expected_keys": {"city": 1, "days": 0, "new": 0}, "set": {"city": "Bari"}})


def test_an_artifact_is_listed_with_its_version() -> None:
    session = Session()
    session.accept("artifact.added", {**ARTIFACT, "uri": "s3://plans/a"})
    assert session.view.artifacts == [Artifact("a", "plan", "text/plain", 1, "0" * 64, "s3://plans/a", 2)]


def test_a_summary_covers_versions_that_are_there_and_its_text_stays_out_of_the_state() -> None:
    session = Session()
    summary = {"from_version": 1, "to_version": 2, "parts": PARTS, "model": "summariser"}
    assert session.refuse("history.compacted", summary) == unknown("version 2")
    session.say()
    session.accept("history.compacted", summary)
    assert session.view.summary == SummaryPointer(3, 1, 2)
    with pytest.raises(InvalidEventError, match="above"):
        value("history.compacted", {**summary, "from_version": 3})


def test_a_batch_may_hold_exactly_the_types_that_say_so() -> None:
    short = {name.removeprefix("everlog.").removesuffix(".v1") for name in BATCHABLE}
    entities = {name.split(".")[0] for name in short}
    assert entities == {"session", "message", "run", "tool_call", "interrupt", "state", "artifact", "history"}
    assert {name for name in short if name.startswith("session.")} == {"session.metadata_updated"}
    assert len(short) == 16
    assert frozenset(name for name, payload in PAYLOADS.items() if payload.in_batch) == BATCHABLE


@pytest.mark.parametrize("name", TYPE_NAMES)
def test_every_type_of_the_catalogue_means_something_under_rules_1(name: TypeName) -> None:
    payload = RULES_1.types[name]
    assert issubclass(payload, Payload)
    assert payload_type(name) is payload
    words = name.removeprefix("everlog.").removesuffix(".v1").replace(".", "_").split("_")
    assert payload.__name__ == "".join(word.title() for word in words)
    assert payload.__name__ == PAYLOADS[name].__name__
    assert PAYLOADS[name].type_name == name


def test_a_payload_says_nothing_and_changes_nothing_where_its_type_does_not() -> None:
    event = LAW.decode(value("org.example.thing", {"a": 1}))
    assert isinstance(event, Event)
    payload = event.payload
    session = Session()
    before = session.hash
    assert payload == Custom({"a": 1})
    assert (payload.lease_reason(session.standing), payload.conflict(session.standing)) == (None, ())
    assert (payload.refusal(session.standing), payload.needs_no_lease("ada")) == (None, False)
    payload.advance(session.standing, 9, "ada")
    payload.show(session.view, 9)
    assert session.hash == before
    assert Payload().free_json() == ()
