"""Checking a payload before it becomes an event, and the bodies of the HTTP interface."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from everlog.schemas.content import Encrypted
from everlog.schemas.contracts.examples import example_of
from everlog.schemas.contracts.phrases import type_text
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.events import check_data
from everlog.schemas.http import CreateRequest, PositionAnswer
from support.law import inner, message, sealed


@pytest.mark.parametrize(
    ("type_name", "data", "told"),
    [
        ("everlog.never.heard.v1", {}, "there is no type everlog.never.heard.v1"),
        ("everlog.message.appended.v1", {"role": "user"}, "parts: Field required"),
        ("everlog.session.metadata_updated.v1", {"title": 7}, "title: Input should be a valid string"),
        ("everlog.session.created.v1", {"owner": "system:x"}, "no participant or owner may be named system:"),
        (
            "everlog.session.created.v1",
            {"owner": "ada", "participants": [{"participant": "ada", "principal": "p", "kind": "human"}]},
            "a participant is named twice",
        ),
        ("everlog.batch.appended.v1", {"events": [inner("session.closed", {})]}, "event 0: a batch may not hold"),
        (
            "everlog.batch.appended.v1",
            {"events": [inner("org.example.thing", {}), inner("message.appended", {"role": "user"})]},
            "event 1: not a valid everlog.message.appended.v1: parts: Field required",
        ),
    ],
)
def test_a_wrong_payload_is_refused_and_the_message_names_what_is_wrong(
    type_name: str, data: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidEventError, match=told) as raised:
        check_data(type_name, data)
    assert "(clear)" not in str(raised.value)


def test_a_right_payload_and_any_of_an_application_pass() -> None:
    check_data("everlog.message.appended.v1", message())
    check_data("everlog.batch.appended.v1", {"events": [inner("message.appended", message())]})
    check_data("org.example.thing", {"anything": [1]})


def test_a_ciphertext_agrees_with_its_size() -> None:
    assert Encrypted.model_validate(sealed(9)).enc.size == 9
    lie = sealed(9)
    lie["enc"]["size"] = 10
    with pytest.raises(ValidationError, match="do not agree"):
        Encrypted.model_validate(lie)


def test_a_request_with_a_field_that_nobody_knows_is_refused_and_an_answer_is_read_without_it() -> None:
    with pytest.raises(ValidationError, match="more"):
        CreateRequest.model_validate({"more": 1})
    answer = PositionAnswer.model_validate({"era": 0, "partition": 1, "offset": 2, "more": 3})
    assert answer.model_dump() == {"era": 0, "partition": 1, "offset": 2}


class WithoutExample(BaseModel):
    name: str


def test_a_field_without_an_example_is_told_by_its_name() -> None:
    with pytest.raises(LookupError, match=r"WithoutExample\.name has no example"):
        example_of(WithoutExample)


def test_the_words_of_a_field_are_those_of_its_clear_form_wherever_that_stands() -> None:
    encrypted = {"$ref": "#/$defs/Encrypted"}
    assert type_text({"anyOf": [{"type": "null"}, encrypted, {"type": "integer"}]}) == "integer"
    assert type_text({"anyOf": [{"type": "null"}]}) == "any JSON"
