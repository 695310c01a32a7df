"""The AsyncAPI 3.0 document: what lies on the log, and what the projector publishes.

Source: AsyncAPI specification 3.0.0 and its Kafka bindings 0.5.0, https://github.com/asyncapi/spec and
https://github.com/asyncapi/bindings. Its schemas keep to what JSON Schema draft-07 and 2020-12 have in common.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic.json_schema import models_json_schema

from everlog.schemas.catalogue import TYPE_NAMES, TypeName
from everlog.schemas.contracts.examples import example_event
from everlog.schemas.contracts.json_schema import ContractSchema
from everlog.schemas.events import CONTENT_TYPE, EVENTS, RULES, Event, WholeEvent
from everlog.schemas.identifiers import ID_TEXT
from everlog.schemas.limits import SAFE_INTEGER

BINDING_VERSION: Final = "0.5.0"
APPLICATION_MESSAGE: Final = "application"
"""The message of applications' own types."""
OUTCOMES_MESSAGE: Final = "outcomes"

_EVENTS_CHANNEL: Final = "events"
_OUTCOMES_CHANNEL: Final = "outcomes"
_SCHEMAS: Final = "#/components/schemas/"
_RECORD_TRAIT: Final = "record"
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": SAFE_INTEGER}


def asyncapi_document() -> dict[str, Any]:
    """The document."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:everlog:log",
        "info": {
            "title": "Everlog",
            "version": f"{RULES}.0.0",
            "description": "Events of sessions on the log, and what became of them. The major version is the number "
            "of the verdict rules.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "kafka": {"host": "127.0.0.1:9092", "protocol": "kafka", "description": "The log, as settings name it"},
            "redis": {"host": "127.0.0.1:6379", "protocol": "redis", "description": "Hot, as settings name it"},
        },
        "channels": {_EVENTS_CHANNEL: _events_channel(), _OUTCOMES_CHANNEL: _outcomes_channel()},
        "operations": {
            "receiveEvents": {"action": "receive", "channel": _reference("channels", _EVENTS_CHANNEL)},
            "sendOutcomes": {"action": "send", "channel": _reference("channels", _OUTCOMES_CHANNEL)},
        },
        "components": {
            "schemas": _schemas(),
            "messages": {name: _message(name) for name in TYPE_NAMES}
            | {APPLICATION_MESSAGE: _application_message(), OUTCOMES_MESSAGE: _outcomes_message()},
            "messageTraits": {_RECORD_TRAIT: _record_trait()},
        },
    }


def _events_channel() -> dict[str, Any]:
    names = (*TYPE_NAMES, APPLICATION_MESSAGE)
    return {
        "address": "everlog.events.{era}",
        "title": "The log",
        "description": "All events, in the order that decides. A key's records lie in one partition; records stay "
        "until they are archived and proved.",
        "servers": [_reference("servers", "kafka")],
        "parameters": {"era": {"description": "Life of the topic, a number", "examples": ["0"]}},
        "messages": {name: _reference("components", "messages", name) for name in names},
        "bindings": {
            "kafka": {
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": -1, "retention.bytes": -1},
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _outcomes_channel() -> dict[str, Any]:
    return {
        "address": "everlog:g{generation}:outcomes",
        "title": "Outcomes",
        "description": "What became of the events of a batch, published once and not kept.",
        "servers": [_reference("servers", "redis")],
        "parameters": {"generation": {"description": "Number of the projection", "examples": ["1"]}},
        "messages": {OUTCOMES_MESSAGE: _reference("components", "messages", OUTCOMES_MESSAGE)},
    }


def _record_trait() -> dict[str, Any]:
    """What all records of the log have."""
    return {
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "required": ["content-type"],
            "properties": {
                "content-type": {"const": CONTENT_TYPE},
                "traceparent": {"type": "string", "description": "W3C Trace Context, where the request was traced"},
            },
        },
        "bindings": {
            "kafka": {
                "key": {
                    "type": "string",
                    "description": "tenant/session: tenantid and subject of the event",
                    "pattern": f"^{ID_TEXT}/{ID_TEXT}$",
                    "examples": ["acme/rome-42"],
                },
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _message(name: TypeName) -> dict[str, Any]:
    event = EVENTS[name]
    return {
        "name": name,
        "title": event.__name__.removesuffix("Event"),
        "summary": (event.__doc__ or "").partition("\n")[0],
        "traits": [_reference("components", "messageTraits", _RECORD_TRAIT)],
        "payload": {"$ref": _SCHEMAS + event.__name__},
        "examples": [{"name": "complete", "payload": example_event(name)}],
    }


def _application_message() -> dict[str, Any]:
    return {
        "name": APPLICATION_MESSAGE,
        "title": "An application's own type",
        "summary": "Kept verbatim, shown in the timeline; makes a version and changes nothing else.",
        "traits": [_reference("components", "messageTraits", _RECORD_TRAIT)],
        "payload": {"$ref": _SCHEMAS + WholeEvent.__name__},
    }


def _outcomes_message() -> dict[str, Any]:
    packed = "One number for each offset from first on: the low byte is the verdict (0 accepted), the rest the version"
    moved = "A mark of each session that got another version: xxh3-64 of tenant/session"
    return {
        "name": OUTCOMES_MESSAGE,
        "title": "Outcomes of a batch",
        "summary": "An array in MessagePack: era, partition, first offset, packed outcomes, sessions that moved.",
        "contentType": "application/vnd.msgpack",
        "payload": {
            "type": "array",
            "minItems": 5,
            "maxItems": 5,
            "items": [
                {**_COUNT, "title": "era"},
                {**_COUNT, "title": "partition"},
                {**_COUNT, "title": "first"},
                {"type": "array", "items": {"type": "integer", "minimum": 0}, "title": "packed", "description": packed},
                {"type": "array", "items": {"type": "integer", "minimum": 0}, "title": "moved", "description": moved},
            ],
        },
    }


def _schemas() -> dict[str, Any]:
    models: list[type[Event]] = [*EVENTS.values(), WholeEvent]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models],
        ref_template=_SCHEMAS + "{model}",
        schema_generator=ContractSchema,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _reference(*steps: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(steps)}
