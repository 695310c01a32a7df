from __future__ import annotations

import json

import pytest

from everlog.archive.promoted import NOTHING, Promoted, promote


def event(type_: object, data: object, **more: object) -> bytes:
    return json.dumps({"type": type_, "actor": "mad-1", "data": data, **more}).encode()


def test_a_message_has_role_and_run() -> None:
    value = event("everlog.message.appended.v1", {"role": "user", "run": "r1", "parts": []})
    assert promote(value) == Promoted("everlog.message.appended.v1", "mad-1", "r1", "user")


def test_a_tool_call_has_its_name() -> None:
    value = event("everlog.tool_call.requested.v1", {"name": "search", "tool_call": "c1"})
    assert promote(value).tool_name == "search"


def test_a_completed_run_has_its_usage() -> None:
    usage = {"input_tokens": 10, "output_tokens": 20, "cost_micros": 30}
    assert promote(event("everlog.run.completed.v1", {"run": "r", "usage": usage}))[5:] == (10, 20, 30)


def test_a_batch_has_the_sum_of_its_usages() -> None:
    inner = {"type": "everlog.run.completed.v1", "data": {"usage": {"input_tokens": 2, "cost_micros": 5}}}
    other = {"type": "everlog.message.appended.v1", "data": {"role": "user"}}
    value = event("everlog.batch.appended.v1", {"events": [inner, other, inner]})
    assert promote(value)[5:] == (4, None, 10)


def test_nothing_is_taken_from_the_payload_of_an_applications_own_type() -> None:
    value = event("com.example.greeted.v1", {"role": "user", "name": "Ada", "run": "r"})
    assert promote(value) == Promoted("com.example.greeted.v1", "mad-1")


@pytest.mark.parametrize(
    "value",
    [None, b"", b"not json", b"[]", b"5", b'{"type":"\xff"}', b'{"type":"\\ud800"}', b"[" * 5000, b'{"type":5}'],
)
def test_a_value_that_is_no_event_has_nothing(value: bytes | None) -> None:
    assert promote(value) == NOTHING


def test_a_field_of_the_wrong_type_or_size_is_null_and_spares_the_others() -> None:
    data = {"role": 5, "run": "x" * 257, "usage": {"input_tokens": True, "output_tokens": 2**63, "cost_micros": 1}}
    value = event("everlog.run.completed.v1", data)
    assert promote(value) == Promoted("everlog.run.completed.v1", "mad-1", None, None, None, None, None, 1)


@pytest.mark.parametrize("data", [None, 5, "text", [1], {"usage": "much"}])
def test_a_payload_of_another_shape_leaves_type_and_actor(data: object) -> None:
    assert promote(event("everlog.run.completed.v1", data)) == Promoted("everlog.run.completed.v1", "mad-1")
