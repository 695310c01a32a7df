"""The public models and the fold's own decoder agree on what an event is, and on every field of it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from everlog.domain.encoding import encode
from everlog.domain.event import Event as Decoded
from everlog.domain.event import Malformed, Payload
from everlog.domain.law import LAW
from everlog.domain.types.batch import BatchAppended
from everlog.schemas import events
from everlog.schemas.catalogue import PAYLOADS, TYPE_NAMES, TypeName
from everlog.schemas.errors import InvalidEventError
from support.generated import documents, nearly

few = settings(max_examples=max(1, settings().max_examples // 10))
"""For each of the thirty types."""


def public(document: Any) -> events.Event | None:
    """The event as the public union reads it."""
    try:
        return events.AnyEvent.validate_json(json.dumps(document))
    except ValidationError:
        return None


def fields(payload: Payload, data: dict[str, Any], name: str) -> tuple[Any, Any]:
    """The fields of a payload as the decoder and as the public class read them, without defaults."""
    if isinstance(payload, BatchAppended):
        pairs = [
            fields(each, given["data"], given["type"])
            for each, given in zip(payload.events, data["events"], strict=True)
        ]
        return [decoded for decoded, _ in pairs], [expected for _, expected in pairs]
    decoded = msgspec.to_builtins(payload)
    if name not in PAYLOADS:
        return decoded.get("data"), data
    expected = PAYLOADS[name].model_validate_json(json.dumps(data)).model_dump(exclude_defaults=True)
    if name == "everlog.session.metadata_updated.v1" and "title" in data and data["title"] is None:
        expected["title"] = None  # absent and null differ: a default to one, a removal to the other
    return without_empty(decoded), without_empty(expected)


def without_empty(found: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in found.items() if item not in ({}, [])}


@pytest.mark.parametrize("name", TYPE_NAMES)
@few
@given(st.data())
def test_what_the_public_model_reads_the_decoder_reads_the_same(name: TypeName, data: st.DataObject) -> None:
    document = data.draw(documents(events.EVENTS[name]))
    event, decoded = public(document), LAW.decode(json.dumps(document).encode())
    assert (event is not None) == isinstance(decoded, Decoded), (document, decoded)
    if event is None or not isinstance(decoded, Decoded):
        return
    assert decoded.key == f"{event.tenantid}/{event.subject}"
    for attribute in ("id", "type", "actor", "time", "rules", "retry"):
        assert getattr(decoded, attribute) == getattr(event, attribute)
    assert (decoded.expected_version, decoded.lease_epoch) == (event.expectedversion, event.leaseepoch)
    assert decoded.seen_version == event.seenversion
    ours, theirs = fields(decoded.payload, document["data"], name)
    assert ours == theirs


@pytest.mark.parametrize("name", TYPE_NAMES)
@few
@given(st.data())
def test_what_a_door_writes_of_a_public_event_is_that_event(name: TypeName, data: st.DataObject) -> None:
    document = data.draw(documents(events.EVENTS[name]))
    event = public(document)
    if event is None:
        return
    raw = encode(event)
    written, read = LAW.decode(raw), LAW.decode(json.dumps(document).encode())
    assert isinstance(written, Decoded)
    assert isinstance(read, Decoded)
    assert written.content_hash == read.content_hash
    assert fields(written.payload, document["data"], name)[0] == fields(read.payload, document["data"], name)[0]
    assert encode(events.Event.model_validate_json(raw)) == raw


@pytest.mark.parametrize("name", TYPE_NAMES)
@few
@given(st.data())
def test_both_refuse_the_same_events(name: TypeName, data: st.DataObject) -> None:
    document = data.draw(nearly(events.EVENTS[name]))
    if isinstance(document.get("type"), str) and not document["type"].startswith("everlog."):
        return  # an application's own type: not of the union
    decoded = LAW.decode(json.dumps(document).encode())
    assert isinstance(decoded, Decoded | Malformed)
    assert (public(document) is not None) == isinstance(decoded, Decoded), (document, decoded)


@given(st.dictionaries(st.text(), st.text() | st.floats() | st.integers()))
def test_an_own_type_carries_what_every_reader_keeps(data: dict[str, Any]) -> None:
    attributes = {"id": "e", "source": "/x", "subject": "s", "tenantid": "t", "time": "2026-01-02T03:04:05Z"}
    try:
        raw = encode(events.Event(type="org.example.thing", actor="ada", data=data, **attributes))
    except (ValidationError, InvalidEventError):
        return
    decoded = LAW.decode(raw)
    assert isinstance(decoded, Decoded)
    assert msgspec.to_builtins(decoded.payload) == {"data": data}
