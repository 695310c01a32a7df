"""The limits of rules 1 are the numbers that were published, and each is used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from everlog.schemas import limits
from everlog.schemas.contracts.json_schema import event_schema

ROOT = Path(__file__).parents[3]
PUBLISHED = {
    "VALUE_BYTES": 262_144,
    "ID_CHARACTERS": 128,
    "BATCH_EVENTS": 200,
    "LABELS": 64,
    "LABEL_VALUE_CHARACTERS": 256,
    "TITLE_CHARACTERS": 512,
    "TEXT_CHARACTERS": 4_096,
    "STATE_KEY_CHARACTERS": 128,
    "STATE_BYTES": 32_768,
    "STATE_KEYS": 256,
    "PRESENT_PARTICIPANTS": 512,
    "PARTS": 256,
    "OPEN_REFERENCES": 256,
    "ARTIFACTS": 256,
    "NAME_CHARACTERS": 256,
    "URI_CHARACTERS": 1_024,
    "LEASE_TTL_S": 3_600,
    "JSON_DEPTH": 32,
    "SAFE_INTEGER": 9_007_199_254_740_991,
    "RING_ACCEPTED": 256,
    "RING_REJECTED": 64,
}


def test_the_limits_are_those_of_rules_1() -> None:
    assert {name: value for name, value in vars(limits).items() if name.isupper()} == PUBLISHED


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_limit_is_used(name: str) -> None:
    sources = [*(ROOT / "schemas/everlog").rglob("*.py"), *(ROOT / "core/everlog/domain").rglob("*.py")]
    using = [path for path in sources if path.name != "limits.py" and re.search(rf"\b{name}\b", path.read_text())]
    assert using != []


def test_schemas_say_the_limits() -> None:
    created = payload("everlog.session.created.v1", "SessionCreated")
    assert created["labels"]["maxProperties"] == limits.LABELS
    assert created["state"]["maxProperties"] == limits.STATE_KEYS
    assert created["participants"]["maxItems"] == limits.PRESENT_PARTICIPANTS - 1
    batch = payload("everlog.batch.appended.v1", "BatchAppended")
    assert (batch["events"]["minItems"], batch["events"]["maxItems"]) == (1, limits.BATCH_EVENTS)
    edited = payload("everlog.message.edited.v1", "MessageEdited")
    assert edited["version"] == edited["version"] | {"minimum": 1, "maximum": limits.SAFE_INTEGER}
    assert edited["index"]["anyOf"][0]["exclusiveMaximum"] == limits.BATCH_EVENTS
    lease = payload("everlog.lease.acquired.v1", "LeaseAcquired")
    assert (lease["ttl_s"]["minimum"], lease["ttl_s"]["maximum"]) == (1, limits.LEASE_TTL_S)


def payload(name: Any, model: str) -> dict[str, Any]:
    fields: dict[str, Any] = event_schema(name)["$defs"][model]["properties"]
    return fields
