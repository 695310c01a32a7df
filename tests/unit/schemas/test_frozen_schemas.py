"""The compatibility gate: the shape of a type that was ever published does not change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from everlog.schemas.catalogue import TYPE_NAMES, TypeName
from everlog.schemas.contracts.json_schema import shape_digest
from everlog.schemas.published import schema_of

FROZEN: dict[str, str] = json.loads(Path(__file__).with_name("frozen_schemas.json").read_text(encoding="utf-8"))
MESSAGE: TypeName = "everlog.message.appended.v1"


@pytest.mark.parametrize("name", TYPE_NAMES)
def test_the_shape_of_a_type_is_frozen(name: TypeName) -> None:
    if name not in FROZEN:
        pytest.fail(f"{name} is new: when its shape is final, run make freeze")
    assert shape_digest(json.loads(schema_of(name))) == FROZEN[name], (
        f"the shape of {name} has changed, and events of the old shape are on the log for ever: "
        "leave this type as it was, make a new v<n+1>, and an upcast step from the old to the new"
    )


def test_no_type_that_was_frozen_is_gone() -> None:
    assert set(FROZEN) - set(TYPE_NAMES) == set(), "an event of every type may be on the log: no type ever goes"


def message_schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(schema_of(MESSAGE))
    return schema


def test_words_and_names_of_classes_are_no_shape() -> None:
    schema = message_schema()
    schema["title"], schema["description"], schema["examples"] = "Other", "Other", []
    schema["$defs"]["MessageAppended"]["properties"]["role"]["description"] = "Other"
    schema["$defs"]["Renamed"] = schema["$defs"].pop("MessageAppended")
    schema["properties"]["data"]["$ref"] = "#/$defs/Renamed"
    assert shape_digest(schema) == FROZEN[MESSAGE]


def test_a_limit_a_field_a_mark_and_a_default_are_shape() -> None:
    changed = [message_schema() for _ in range(5)]
    data = [schema["$defs"]["MessageAppended"] for schema in changed]
    data[0]["properties"]["parts"]["oneOf"][0]["maxItems"] += 1
    data[1]["properties"]["title"] = {"type": "string"}
    del data[2]["properties"]["parts"]["x-everlog-content"]
    data[3]["properties"]["author"]["default"] = "ada"
    data[4]["required"].remove("role")
    assert len({shape_digest(schema) for schema in changed} | {FROZEN[MESSAGE]}) == 6
