"""A field's JSON Schema in a few words: its type and its limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from everlog.schemas.content import CONTENT_KEYWORD, Encrypted
from everlog.schemas.events import SOURCE_PATTERN
from everlog.schemas.identifiers import IDENTIFIER_PATTERN, TYPE_PATTERN
from everlog.schemas.limits import SAFE_INTEGER
from everlog.schemas.times import TIME_PATTERN

Schema = dict[str, Any]

_NAMED_PATTERNS: Final = {
    IDENTIFIER_PATTERN: "identifier",
    TYPE_PATTERN: "type name",
    TIME_PATTERN: "time",
    SOURCE_PATTERN: "path",
}
_TYPES: Final = {"string": "text", "integer": "integer", "boolean": "yes or no", "object": "JSON object"}
_ANY_JSON: Final = "JsonValue"
_COUNTED: Final = (("Length", "characters"), ("Items", "items"), ("Properties", "entries"))


def type_text(schema: Schema) -> str:
    """What a value is: ``text``, ``list of [Part](#part)``."""
    inner = _clear(schema)
    if "$ref" in inner:
        name = model_name(inner)
        return "any JSON" if name == _ANY_JSON else f"[{name}](#{name.lower()})"
    if "const" in inner:
        return f"`{inner['const']}`"
    if "enum" in inner:
        return " or ".join(f"`{value}`" for value in inner["enum"])
    if inner.get("pattern") in _NAMED_PATTERNS:
        return _NAMED_PATTERNS[inner["pattern"]]
    if inner.get("type") == "array":
        return f"list of {type_text(inner['items'])}"
    values = _map_values(inner)
    if values is not None and _clear(values) != {"$ref": f"#/$defs/{_ANY_JSON}"}:
        keys = " by identifier" if IDENTIFIER_PATTERN in inner.get("patternProperties", {}) else ""
        return f"map of {type_text(values)}{keys}"
    return _TYPES[inner["type"]] if "type" in inner else "any JSON"


def limits_text(schema: Schema) -> str:
    """How large a value may be, empty where its type says all."""
    inner = _clear(schema)
    phrases = list(_own_limits(inner))
    parts = (("each", inner.get("items")), ("keys", inner.get("propertyNames")), ("values", _map_values(inner)))
    phrases += [
        f"{name} {phrase}" for name, part in parts if isinstance(part, dict) for phrase in _own_limits(_clear(part))
    ]
    return "; ".join(phrases)


def holds_content(schema: Schema) -> bool:
    """Whether the value itself, or each value of the map, is content."""
    values = _map_values(_clear(schema))
    candidates = [schema, *_alternatives(schema), *([values, *_alternatives(values)] if values is not None else [])]
    return any(CONTENT_KEYWORD in each for each in candidates)


def model_name(schema: Schema) -> str:
    """The name of what a schema refers to."""
    return str(schema["$ref"]).rpartition("/")[2]


def _own_limits(schema: Schema) -> Iterator[str]:
    for suffix, unit in _COUNTED:
        least, most = schema.get(f"min{suffix}", 0), schema.get(f"max{suffix}")
        if most is not None:
            yield f"{least} to {most} {unit}" if least else f"at most {most} {unit}"
    if schema.get("type") == "integer":
        yield _range(schema)
    pattern = schema.get("pattern")
    if pattern is not None and pattern not in _NAMED_PATTERNS:
        yield f"`{pattern}`"


def _range(schema: Schema) -> str:
    least = schema.get("minimum", 0)
    most = schema["exclusiveMaximum"] - 1 if "exclusiveMaximum" in schema else schema["maximum"]
    return f"from {least}" if most == SAFE_INTEGER else f"{least} to {most}"


def _clear(schema: Schema) -> Schema:
    """The schema of a value that is given and not encrypted; a reference without what is said beside it."""
    for each in _alternatives(schema):
        if each.get("type") != "null" and ("$ref" not in each or model_name(each) != Encrypted.__name__):
            return _clear(each)
    return {"$ref": schema["$ref"]} if "$ref" in schema else schema


def _alternatives(schema: Schema) -> list[Schema]:
    return [*schema.get("anyOf", ()), *schema.get("oneOf", ())]


def _map_values(schema: Schema) -> Schema | None:
    values = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
    return next((each for each in values if isinstance(each, dict)), None)
