"""Content is marked on exactly the values that the catalogue says, and only content may stand encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from everlog.schemas.catalogue import TYPE_NAMES, TypeName
from everlog.schemas.content import CONTENT_KEYWORD
from everlog.schemas.contracts.json_schema import event_schema

CONTENT: dict[str, set[str]] = {
    "session.created": {"title", "labels.*", "state.*", "summary.parts"},
    "session.metadata_updated": {"title", "labels.*"},
    "session.rewound": {"title", "labels.*", "state.*", "summary.parts"},
    "run.failed": {"error.message"},
    "message.appended": {"parts"},
    "message.edited": {"parts"},
    "tool_call.requested": {"arguments"},
    "tool_call.completed": {"parts"},
    "tool_call.failed": {"error.message"},
    "interrupt.raised": {"message"},
    "interrupt.resolved": {"payload"},
    "state.patched": {"set.*"},
    "history.compacted": {"parts"},
}
"""By the catalogue's stars; a type that is not named has none. Labels of a rewinding are what they are everywhere."""


@pytest.mark.parametrize("name", TYPE_NAMES)
def test_content_is_marked_where_the_catalogue_marks_it_and_nowhere_else(name: TypeName) -> None:
    schema = event_schema(name)
    short = name.removeprefix("everlog.").removesuffix(".v1")
    assert set(marked(schema["properties"]["data"], schema["$defs"])) == CONTENT.get(short, set())


@pytest.mark.parametrize("name", TYPE_NAMES)
def test_the_envelope_holds_no_content(name: TypeName) -> None:
    schema = event_schema(name)
    attributes = {key: value for key, value in schema["properties"].items() if key != "data"}
    assert list(marked({"properties": attributes}, schema["$defs"])) == []


@pytest.mark.parametrize("name", TYPE_NAMES)
def test_only_content_may_stand_encrypted(name: TypeName) -> None:
    schema = event_schema(name)
    data = schema["properties"]["data"]
    assert set(encrypted(data, schema["$defs"])) <= set(marked(data, schema["$defs"]))


def marked(schema: Any, definitions: dict[str, Any]) -> Iterator[str]:
    """Paths of values with the mark."""
    return (path for path, each in walk(schema, definitions) if CONTENT_KEYWORD in each)


def encrypted(schema: Any, definitions: dict[str, Any]) -> Iterator[str]:
    """Paths of values that may have the encrypted form."""
    return (path for path, each in walk(schema, definitions) if each.get("$ref") == "#/$defs/Encrypted")


def walk(schema: Any, definitions: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema with the path of the value that it is of; a map's values are ``*``, a list's are ``[]``."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    if "$ref" in schema and not schema["$ref"].endswith("/Encrypted"):
        yield from walk(definitions[schema["$ref"].rpartition("/")[2]], definitions, path)
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from walk(each, definitions, path)
    for key, each in schema.get("properties", {}).items():
        yield from walk(each, definitions, f"{path}.{key}".lstrip("."))
    yield from walk(schema.get("items"), definitions, f"{path}[]")
    for each in (schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()):
        yield from walk(each, definitions, f"{path}.*")
