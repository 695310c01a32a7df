"""The AsyncAPI document: of the specification's form, and true of what really lies there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator, Draft202012Validator  # type: ignore[import-untyped]

from everlog.adapters.kafka.topic import topic_configs
from everlog.adapters.redis.outcomes import encode_outcomes
from everlog.domain.verdicts import Accepted, Reason, Rejected, pack
from everlog.ports.hot import Outcomes, key_mark
from everlog.runtime.config import KafkaSettings
from everlog.schemas.catalogue import TYPE_NAMES, TypeName
from everlog.schemas.contracts.examples import example_event
from everlog.schemas.published import asyncapi

DOCUMENT: dict[str, Any] = json.loads(asyncapi())


def resolved(reference: str) -> Any:
    place: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        place = place[step]
    return place


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def payload_of(message: str) -> dict[str, Any]:
    """The schema of a message's payload, with what it refers to."""
    payload: dict[str, Any] = DOCUMENT["components"]["messages"][message]["payload"]
    return payload | {"components": DOCUMENT["components"]}


def test_the_document_has_the_form_of_the_specification() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert set(DOCUMENT["info"]) >= {"title", "version"}
    assert set(DOCUMENT) <= {
        "asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components",
    }  # fmt: skip
    assert all({"host", "protocol"} <= set(server) for server in DOCUMENT["servers"].values())
    for channel in DOCUMENT["channels"].values():
        assert {"address", "messages", "servers"} <= set(channel)
        assert all(f"{{{name}}}" in channel["address"] for name in channel["parameters"])
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert resolved(operation["channel"]["$ref"]) in DOCUMENT["channels"].values()


def test_every_reference_leads_somewhere_within_the_document() -> None:
    found = set(references(DOCUMENT))
    assert all(reference.startswith("#/") for reference in found)
    for reference in found:
        assert isinstance(resolved(reference), dict)


def test_the_log_has_a_message_for_each_type_and_one_for_applications() -> None:
    assert set(DOCUMENT["channels"]["events"]["messages"]) == {*TYPE_NAMES, "application"}
    for name in TYPE_NAMES:
        message = DOCUMENT["components"]["messages"][name]
        assert message["name"] == name
        assert message["summary"]


@pytest.mark.parametrize("name", TYPE_NAMES)
@pytest.mark.parametrize("draft", [Draft7Validator, Draft202012Validator])
def test_a_message_takes_its_example_and_no_other_types(name: TypeName, draft: Any) -> None:
    validator = draft(payload_of(name))
    validator.validate(DOCUMENT["components"]["messages"][name]["examples"][0]["payload"])
    other = TYPE_NAMES[TYPE_NAMES.index(name) - 1]
    assert not validator.is_valid(example_event(other))


def test_an_applications_own_event_fits_its_message() -> None:
    own = example_event("everlog.run.started.v1") | {"type": "com.example.booked", "data": {"any": ["thing"]}}
    Draft7Validator(payload_of("application")).validate(own)
    assert not Draft7Validator(payload_of("application")).is_valid(own | {"specversion": "0.3"})


def test_records_are_described_as_they_are() -> None:
    record = DOCUMENT["components"]["messageTraits"]["record"]
    assert record["contentType"] == DOCUMENT["defaultContentType"] == "application/cloudevents+json"
    key = Draft7Validator(record["bindings"]["kafka"]["key"])
    assert key.is_valid("acme/rome-42")
    assert not key.is_valid("rome-42")
    headers = Draft7Validator(record["headers"])
    assert headers.is_valid({"content-type": "application/cloudevents+json"})
    assert not headers.is_valid({"content-type": "application/json"})
    events = DOCUMENT["channels"]["events"]
    assert events["address"] == f"{KafkaSettings().topic}.{{era}}"
    said = events["bindings"]["kafka"]["topicConfiguration"]
    real = topic_configs(replication=3)
    assert {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in said.items()} == {
        name: real[name] for name in said
    }


def test_outcomes_are_described_as_they_are_published() -> None:
    packed = [pack(Accepted(7)), pack(Rejected(Reason.FENCED, 7))]
    published = msgspec.msgpack.decode(encode_outcomes(Outcomes(0, 3, 41, packed, [key_mark("acme/rome-42")])))
    validator = Draft7Validator(payload_of("outcomes"))
    validator.validate(published)
    assert not validator.is_valid(published[:-1])
    assert not validator.is_valid([*published[:-1], "none"])
