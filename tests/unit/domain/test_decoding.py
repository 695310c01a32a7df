"""The strict decoder: what it lets through, and that it never raises."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlog.domain.event import Event, Malformed
from everlog.domain.law import LAW
from everlog.domain.types.batch import BatchAppended
from everlog.domain.types.custom import Custom
from everlog.schemas.errors import InvalidEventError, LimitExceededError
from everlog.schemas.limits import VALUE_BYTES
from support.events import KEY, created, said, value

TEXT = {"role": "user", "parts": [{"type": "text", "text": "hi"}]}


def changed(raw: bytes, **attributes: object) -> bytes:
    document = json.loads(raw)
    document.update(attributes)
    return json.dumps({name: item for name, item in document.items() if item is not None}).encode()


def test_what_a_door_writes_is_read_back() -> None:
    event = LAW.decode(said("Grüße 😀", id="m-1"))
    assert isinstance(event, Event)
    assert (event.key, event.id, event.actor) == (KEY, "m-1", "ada")


def test_white_space_and_escapes_change_neither_event_nor_content_hash() -> None:
    raw = said("Grüße", id="m-1")
    spaced = json.dumps(json.loads(raw), indent=2).encode()
    first, second = LAW.decode(raw), LAW.decode(spaced)
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert first.content_hash == second.content_hash


def test_a_retry_has_the_same_content_hash_whatever_its_time_and_retry_mark() -> None:
    first = LAW.decode(said("hi", id="m-1"))
    second = LAW.decode(said("hi", id="m-1", time="2027-01-01T00:00:00Z", retry=True, seenversion=3))
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert first.content_hash == second.content_hash


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        changed(said("hi"), specversion="0.3"),
        changed(said("hi"), id="has space"),
        changed(said("hi"), id="line\n"),
        changed(said("hi"), id=7),
        changed(said("hi"), expectedversion="3"),
        changed(said("hi"), expectedversion=-1),
        changed(said("hi"), expectedversion=2**53),
        changed(said("hi"), rules=2**53),
        changed(said("hi"), time="yesterday"),
        changed(said("hi"), unknown=1),
        changed(said("hi"), type="everlog.never.heard.v1"),
        changed(said("hi"), data={"role": "user", "parts": []}),
        changed(said("hi"), data={**TEXT, "extra": 1}),
        changed(said("hi"), data={**TEXT, "role": "alien"}),
        changed(said("hi"), data=None),
        changed(created(), data={"owner": "system:clock"}),
        changed(
            created(),
            data={"owner": "ada", "participants": [{"participant": "ada", "principal": "x", "kind": "human"}]},
        ),
        said("hi").replace(b'"role":"user"', b'"role":"user","role":"tool"'),
        said("hi").replace(b'"actor":"ada"', b'"actor":"ada","actor":"bob"'),
        said("hi").replace(b'"text":"hi"', b'"text":"\\ud800"'),
        value("org.example.thing", {"a": 1}).replace(b'"a":1', b'"a":NaN'),
        value("org.example.thing", {"a": 1}).replace(b'"a":1', b'"a":1,"a":1'),
        value("org.example.thing", {"a": 1}).replace(b'"a":1', b'"a":9007199254740992'),
        value("org.example.thing", {"a": 1}).replace(b'"a":1', b'"a":' + b"[" * 40 + b"]" * 40),
        changed(
            value("batch.appended", {"events": [{"type": "everlog.message.appended.v1", "data": TEXT}]}),
            data={"events": [{"type": "everlog.session.closed.v1", "data": {}}]},
        ),
    ],
)
def test_anything_lax_is_malformed(raw: bytes) -> None:
    assert isinstance(LAW.decode(raw), Malformed)


def test_no_value_is_malformed() -> None:
    assert isinstance(LAW.decode(None), Malformed)


@given(st.binary(max_size=300))
def test_random_bytes_are_malformed_and_nothing_raises(raw: bytes) -> None:
    assert isinstance(LAW.decode(raw), Malformed)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_damage_to_an_event_never_raises(at: int, noise: bytes) -> None:
    raw = said("hello there", id="m-1")
    LAW.decode(raw[:at] + noise + raw[at + 1 :])


def test_an_applications_own_type_is_kept_whatever_it_carries() -> None:
    event = LAW.decode(value("org.example.thing", {"ratio": 0.1, "deep": {"list": [1, None, "x"]}}))
    assert isinstance(event, Event)
    assert event.payload == Custom({"ratio": 0.1, "deep": {"list": [1, None, "x"]}})


def test_a_batch_holds_its_events_in_order() -> None:
    inner = [{"type": "everlog.message.appended.v1", "data": TEXT}, {"type": "org.example.thing", "data": {"n": 1}}]
    event = LAW.decode(value("batch.appended", {"events": inner}))
    assert isinstance(event, Event)
    assert isinstance(event.payload, BatchAppended)
    assert [type(payload).__name__ for payload in event.payload.events] == ["MessageAppended", "Custom"]


def test_a_door_refuses_what_the_log_would_call_malformed() -> None:
    with pytest.raises(InvalidEventError, match="parts"):
        value("message.appended", {"role": "user"})


def test_a_door_refuses_a_too_large_event_and_names_both_sizes() -> None:
    with pytest.raises(LimitExceededError) as raised:
        said("x" * VALUE_BYTES)
    assert raised.value.maximum == VALUE_BYTES
    assert raised.value.actual > VALUE_BYTES
