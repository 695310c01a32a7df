"""The example of each type is an event for everyone who checks one; what is no event is none for all of them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic import ValidationError

from everlog.domain.event import Event, Malformed
from everlog.domain.law import LAW
from everlog.schemas.catalogue import PAYLOADS, TYPE_NAMES, TypeName
from everlog.schemas.contracts.examples import example_event
from everlog.schemas.events import EVENTS, AnyEvent, check_data
from everlog.schemas.published import schema_of

ENCRYPTED = {"enc": {"key": "k-1", "nonce": "A" * 16, "text": "A" * 43, "size": 16, "mac": "A" * 22}}


def validator(name: TypeName) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema_of(name)))


@pytest.mark.parametrize("name", TYPE_NAMES)
def test_an_example_is_an_event_by_pydantic_by_the_law_and_by_its_json_schema(name: TypeName) -> None:
    example = example_event(name)
    value = json.dumps(example).encode()
    assert AnyEvent.validate_json(value).type == name
    assert isinstance(LAW.decode(value), Event), LAW.decode(value)
    validator(name).validate(example)
    check_data(name, example["data"])


@pytest.mark.parametrize("name", TYPE_NAMES)
def test_an_example_has_every_field_of_its_payload(name: TypeName) -> None:
    assert set(example_event(name)["data"]) == set(PAYLOADS[name].model_fields)


@pytest.mark.parametrize("name", TYPE_NAMES)
def test_a_schema_is_of_draft_2020_12_and_says_what_it_is_of(name: TypeName) -> None:
    schema = json.loads(schema_of(name))
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema["$id"] == f"urn:everlog:schema:{name}"
    assert schema["title"] == EVENTS[name].__name__
    assert schema["description"]
    assert schema["examples"] == [example_event(name)]
    assert schema["properties"]["type"]["const"] == name


@pytest.mark.parametrize("name", TYPE_NAMES)
@pytest.mark.parametrize(
    "missing", ["specversion", "id", "source", "type", "subject", "tenantid", "time", "actor", "data"]
)
def test_an_event_without_what_it_must_have_is_refused_by_all(name: TypeName, missing: str) -> None:
    example = example_event(name)
    del example[missing]
    refused_by_all(name, example)


@pytest.mark.parametrize("name", TYPE_NAMES)
def test_an_unknown_field_is_refused_by_all(name: TypeName) -> None:
    refused_by_all(name, example_event(name) | {"extra": 1})
    example = example_event(name)
    refused_by_all(name, example | {"data": example["data"] | {"extra": 1}})


REFUSED: list[tuple[TypeName, list[str | int], Any]] = [
    ("everlog.session.created.v1", ["data", "labels"], {"no spaces here": "x"}),
    ("everlog.session.created.v1", ["data", "labels", "team"], "x" * 257),
    ("everlog.session.created.v1", ["data", "labels"], {f"l{at}": "" for at in range(65)}),
    ("everlog.session.created.v1", ["data", "state"], {"": 1}),
    ("everlog.session.created.v1", ["data", "title"], "x" * 513),
    ("everlog.session.created.v1", ["data", "title"], {"enc": {"key": "k"}}),
    ("everlog.session.created.v1", ["data", "owner"], "a/b"),
    ("everlog.session.created.v1", ["data", "participants", 0, "kind"], "robot"),
    ("everlog.session.rewound.v1", ["expectedversion"], None),
    ("everlog.session.erased.v1", ["data", "reason"], None),
    ("everlog.lease.acquired.v1", ["data", "ttl_s"], 0),
    ("everlog.lease.acquired.v1", ["data", "ttl_s"], 3601),
    ("everlog.lease.acquired.v1", ["data", "ttl_s"], "30"),
    ("everlog.message.appended.v1", ["data", "parts"], []),
    ("everlog.message.appended.v1", ["data", "parts", 0, "type"], "video"),
    ("everlog.message.appended.v1", ["data", "role"], "robot"),
    ("everlog.message.appended.v1", ["time"], "2026-01-02 03:04:05"),
    ("everlog.message.appended.v1", ["leaseepoch"], -1),
    ("everlog.message.appended.v1", ["rules"], 0),
    ("everlog.message.appended.v1", ["retry"], 1),
    ("everlog.message.appended.v1", ["source"], "mads"),
    ("everlog.message.edited.v1", ["data", "index"], 200),
    ("everlog.message.edited.v1", ["data", "version"], 2**53),
    ("everlog.interrupt.resolved.v1", ["data", "status"], "canceled"),
    ("everlog.state.patched.v1", ["data", "expected_keys", "city"], -1),
    ("everlog.state.patched.v1", ["data", "unset"], ["k" * 129]),
    ("everlog.artifact.added.v1", ["data", "sha256"], "F" * 64),
    ("everlog.tool_call.failed.v1", ["data", "duration_ms"], 1),
    ("everlog.batch.appended.v1", ["data", "events"], []),
]


@pytest.mark.parametrize(("name", "path", "value"), REFUSED)
def test_a_wrong_value_is_refused_by_all(name: TypeName, path: list[str | int], value: Any) -> None:
    example = copy.deepcopy(example_event(name))
    place: Any = example
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    refused_by_all(name, example)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("everlog.session.created.v1", "title"),
        ("everlog.message.appended.v1", "parts"),
        ("everlog.interrupt.raised.v1", "message"),
        ("everlog.tool_call.requested.v1", "arguments"),
    ],
)
def test_content_may_stand_encrypted(name: TypeName, field: str) -> None:
    example = example_event(name)
    example["data"] = example["data"] | {field: ENCRYPTED}
    validator(name).validate(example)
    AnyEvent.validate_json(json.dumps(example))
    assert isinstance(LAW.decode(json.dumps(example).encode()), Event)


def refused_by_all(name: TypeName, event: dict[str, Any]) -> None:
    value = json.dumps(event).encode()
    assert not validator(name).is_valid(event)
    assert isinstance(LAW.decode(value), Malformed)
    with pytest.raises(ValidationError):
        AnyEvent.validate_json(value)
