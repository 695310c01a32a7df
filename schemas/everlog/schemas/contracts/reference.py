"""The page of the catalogue for people: ``docs/reference/events.md``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from everlog.schemas.catalogue import PAYLOADS, TYPE_NAMES, TypeName
from everlog.schemas.contracts.examples import example_event
from everlog.schemas.contracts.json_schema import event_schema
from everlog.schemas.contracts.phrases import Schema, holds_content, limits_text, type_text
from everlog.schemas.events import CONTENT_TYPE
from everlog.schemas.limits import ID_CHARACTERS, JSON_DEPTH, SAFE_INTEGER, VALUE_BYTES

_HEAD: Final = f"""# Events

<!-- Made by `make generate` from the classes in schemas/everlog/schemas/payloads: change those. -->

A record of the log is one JSON document of type `{CONTENT_TYPE}`: a CloudEvent in structured mode, at most
{VALUE_BYTES // 1024} KiB. Its key is `tenant/session`. What is null or default is left out.

- A field with `?` may be left out.
- An *identifier* is 1 to {ID_CHARACTERS} of the characters `A-Z a-z 0-9 . _ : @ -`; a *time* is RFC 3339 in UTC with a
  `Z`; an integer without an upper limit ends at {SAFE_INTEGER}, JSON at a depth of {JSON_DEPTH}.
- *Content* is what people wrote. It may stand encrypted, as [Encrypted](#encrypted), and goes when its session is
  erased. Everything else stays clear.
- A short name means the full one: `message.appended` is `everlog.message.appended.v1`.
- An application's own types have names of their own, reverse DNS, and carry any JSON object: each makes a version and
  is shown in the timeline, and changes nothing else.

Each type's JSON Schema is at `GET /v1/schemas/<type>`, the AsyncAPI document at `GET /asyncapi.json`; both need no
token.
"""
_FIELD_HEAD: Final = "| field | type | limits | content | |\n| --- | --- | --- | --- | --- |\n"
_STRUCTURES_HEAD: Final = "## Structures\n\nWhat several types have in their fields.\n"
_ENVELOPE_TYPE: Final[TypeName] = "everlog.message.appended.v1"
_RST_CODE: Final = re.compile(r"``([^`]+)``")


def reference_page() -> str:
    """The whole page."""
    schemas = {name: event_schema(name) for name in TYPE_NAMES}
    definitions: dict[str, Schema] = {}
    for schema in schemas.values():
        definitions |= schema["$defs"]
    payloads = {payload.__name__ for payload in PAYLOADS.values()}
    structures = [name for name in sorted(definitions) if name not in payloads and "properties" in definitions[name]]
    sections = [
        _HEAD,
        "## Envelope\n\n" + _envelope(schemas[_ENVELOPE_TYPE]),
        "## Types\n\n" + _catalogue(),
        *(_type(name, schema) for name, schema in schemas.items()),
        _STRUCTURES_HEAD,
        *(f"### {name}\n\n{_said(definitions[name])}\n\n{_table(definitions[name])}" for name in structures),
    ]
    return "\n".join(sections)


def _envelope(schema: Schema) -> str:
    own = {"type": {"type": "string", "description": "Full name of the type"}, "data": {"type": "object"}}
    own["data"]["description"] = "The payload: the fields of its type, below"
    return _table({**schema, "properties": {**schema["properties"], **own}})


def _catalogue() -> str:
    rows = [
        f"| [`{_short(name)}`](#{_anchor(name)}) | {_said_first(PAYLOADS[name].__doc__ or '')} "
        f"| {'yes' if PAYLOADS[name].in_batch else ''} |"
        for name in TYPE_NAMES
    ]
    return "\n".join(["| type | what it does | in a batch |", "| --- | --- | --- |", *rows, ""])


def _type(name: TypeName, schema: Schema) -> str:
    payload = PAYLOADS[name]
    data = schema["$defs"][payload.__name__]
    notes = ["A batch may hold it."] * payload.in_batch
    notes += ["Its envelope must give `expectedversion`."] * payload.needs_expected_version
    said = [_said(data), *([" ".join(notes)] if notes else [])]
    example = json.dumps(example_event(name), indent=2, ensure_ascii=False)
    return "\n\n".join([f"### {_short(name)}", *said, _table(data) + f"\n```json\n{example}\n```\n"])


def _table(schema: Schema) -> str:
    return _FIELD_HEAD + "".join(_rows(schema))


def _rows(schema: Schema) -> Iterator[str]:
    required = set(schema.get("required", ()))
    for name, field in schema["properties"].items():
        shown = f"`{name}`" if name in required else f"`{name}`?"
        content = "yes" if holds_content(field) else ""
        yield f"| {shown} | {type_text(field)} | {limits_text(field)} | {content} | {_explained(field)} |\n"


def _explained(field: Schema) -> str:
    default: Any = field.get("default")
    said = _code(field.get("description", ""))
    return said if default in (None, False) else f"{said}; default `{default}`"


def _said(schema: Schema) -> str:
    return _code(schema["description"])


def _said_first(text: str) -> str:
    return _code(text.partition("\n")[0])


def _code(text: str) -> str:
    """Text of a docstring as Markdown."""
    return _RST_CODE.sub(r"`\1`", text)


def _short(name: str) -> str:
    return name.removeprefix("everlog.").removesuffix(".v1")


def _anchor(name: str) -> str:
    """Of a heading: what GitHub makes of it."""
    return _short(name).replace(".", "")
