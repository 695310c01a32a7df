"""The JSON Schema of each type: draft 2020-12, the whole event.

A schema says all that JSON Schema can say. What it cannot: that free JSON keeps to safe integers and to a depth, that
a ciphertext has the length of its size, that two versions are in order, that no participant is named twice or like the
system, and the size of the whole value.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from everlog.schemas.catalogue import TypeName
from everlog.schemas.contracts.examples import example_event
from everlog.schemas.events import EVENTS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
URN_PREFIX: Final = "urn:everlog:schema:"
"""A schema's ``$id`` is this and the full name of its type."""

_ANNOTATIONS: Final = frozenset({"$id", "$schema", "$defs", "title", "description", "examples"})
"""What says nothing of which values are valid."""
_REFERENCE: Final = "#/$defs/"


class ContractSchema(GenerateJsonSchema):
    """Without a title for every field, which repeats its name; a map refuses keys that do not fit."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: the name says it."""
        return False

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """A map whose keys have a pattern has no others."""
        made = super().dict_schema(schema)
        if "patternProperties" in made:
            made.pop("propertyNames", None)
            made["additionalProperties"] = False
        return made


def event_schema(name: TypeName) -> dict[str, Any]:
    """The schema of a type's whole event."""
    schema = EVENTS[name].model_json_schema(schema_generator=ContractSchema)
    return {**schema, "$schema": DIALECT, "$id": URN_PREFIX + name, "examples": [example_event(name)]}


def shape_digest(schema: dict[str, Any]) -> str:
    """SHA-256 of what a schema demands: references resolved, without titles, descriptions and examples."""
    shape = _shape(schema, schema.get("$defs", {}))
    return hashlib.sha256(json.dumps(shape, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _shape(schema: Any, definitions: dict[str, Any]) -> Any:
    if not isinstance(schema, dict):
        return schema
    merged = {**definitions.get(schema.get("$ref", "").removeprefix(_REFERENCE), {}), **schema}
    return {
        keyword: _operand(keyword, value, definitions)
        for keyword, value in merged.items()
        if keyword not in _ANNOTATIONS and keyword != "$ref"
    }


def _operand(keyword: str, value: Any, definitions: dict[str, Any]) -> Any:
    """The value of a keyword with the schemas in it reduced."""
    match keyword:
        case "properties" | "patternProperties":
            return {name: _shape(each, definitions) for name, each in value.items()}
        case "anyOf" | "oneOf" | "allOf":
            return [_shape(each, definitions) for each in value]
        case "items" | "additionalProperties" | "propertyNames":
            return _shape(value, definitions)
        case "required" | "enum":
            return sorted(value, key=repr)
        case _:
            return value
