"""The strict decoder: what it lets through, and that it never raises."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlog.domain.encoding import encode
from everlog.domain.event import Event, Malformed
from everlog.domain.law import LAW
from everlog.domain.types.batch import BatchAppended
from everlog.domain.types.custom import Custom
from everlog.schemas.errors import InvalidEventError, LimitExceededError
from everlog.schemas.events import AnyEvent
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
    assert raised.value.actual is not None and raised.value.actual > VALUE_BYTES


def nested(containers: int) -> bytes:
    return b"[" * containers + b"]" * containers


PLACES = [
    ("org.example.thing", {"a": "HERE"}, 31),
    ("state.patched", {"set": {"k": "HERE"}}, 30),
    ("session.created", {"owner": "ada", "state": {"k": "HERE"}}, 30),
    ("tool_call.requested", {"arguments": "HERE", "name": "n", "tool_call": "t"}, 31),
    ("interrupt.resolved", {"interrupt": "i", "payload": "HERE", "status": "resolved"}, 31),
    ("interrupt.raised", {"interrupt": "i", "message": "m", "reason": "r", "response_schema": {"a": "HERE"}}, 30),
    ("message.appended", {"parts": [{"data": "HERE", "type": "data"}], "role": "user"}, 29),
    ("message.edited", {"parts": [{"data": "HERE", "type": "data"}], "version": 1}, 29),
    ("tool_call.completed", {"parts": [{"data": "HERE", "type": "data"}], "tool_call": "t"}, 29),
    ("history.compacted", {"from_version": 1, "parts": [{"data": "HERE", "type": "data"}], "to_version": 1}, 29),
    (
        "session.created",
        {"owner": "a", "summary": {"from_version": 1, "parts": [{"data": "HERE", "type": "data"}], "to_version": 1}},
        28,
    ),
    ("session.rewound", {"state": {"k": "HERE"}, "to_version": 1}, 30),
    (
        "session.rewound",
        {
            "summary": {"from_version": 1, "parts": [{"data": "HERE", "type": "data"}], "to_version": 1},
            "to_version": 1,
        },
        28,
    ),
    ("batch.appended", {"events": [{"data": {"a": "HERE"}, "type": "org.example.thing"}]}, 28),
    ("batch.appended", {"events": [{"data": {"set": {"k": "HERE"}}, "type": "everlog.state.patched.v1"}]}, 27),
]


@pytest.mark.parametrize(("type_name", "data", "fits"), PLACES)
def test_depth_is_counted_over_the_whole_data_wherever_free_json_stands(
    type_name: str, data: dict[str, object], fits: int
) -> None:
    raw = value(type_name, data, **({"expectedversion": 1} if type_name == "session.rewound" else {}))
    for spelled in (raw, raw + b" "):
        assert isinstance(LAW.decode(spelled.replace(b'"HERE"', nested(fits))), Event)
        assert isinstance(LAW.decode(spelled.replace(b'"HERE"', nested(fits + 1))), Malformed)


@pytest.mark.parametrize(
    ("spelling", "is_event"),
    [
        (b"9007199254740991", True),
        (b"-9007199254740991", True),
        (b"9007199254740991.0", True),
        (b"9007199254740992", False),
        (b"-9007199254740992", False),
        (b"9007199254740992.0", False),
        (b"-9007199254740993.0", False),
        (b"1e20", False),
        (b"100000000000000000000", False),
        (b"99999999999999999999999", False),
        (b"1e21", True),
        (b"1e+21", True),
        (b"-1e300", True),
        (b"1e-300", True),
        (b"-0.0", True),
        (b"1e400", False),
        (b"Infinity", False),
        (b"01", False),
    ],
)
def test_a_number_is_kept_or_refused_whatever_its_spelling(spelling: bytes, is_event: bool) -> None:
    raw = value("org.example.thing", {"a": 7}).replace(b'"a":7', b'"a":' + spelling)
    assert isinstance(LAW.decode(raw), Event if is_event else Malformed)


@pytest.mark.parametrize("spelling", [b"3.0", b"3e0", b"03", b'"3"', b"+3"])
def test_a_count_is_an_integer_and_nothing_that_equals_one(spelling: bytes) -> None:
    raw = said("hi", expectedversion=3)
    assert isinstance(LAW.decode(raw.replace(b'"expectedversion":3', b'"expectedversion":' + spelling)), Malformed)
    summary = {"from_version": 1, "to_version": 3, "parts": TEXT["parts"]}
    raw = value("history.compacted", summary)
    assert isinstance(LAW.decode(raw.replace(b'"to_version":3', b'"to_version":' + spelling)), Malformed)


@pytest.mark.parametrize(
    "time", ["\uff12\uff10\uff12\uff16-01-02T03:04:05Z", "2026-01-02T03:04:0\u0665Z", "2026-01-02T03:04:05.1234567890Z"]
)
def test_a_time_has_ascii_digits_and_at_most_nanoseconds(time: str) -> None:
    assert isinstance(LAW.decode(changed(said("hi"), time=time)), Malformed)


@pytest.mark.parametrize(
    "attributes",
    [
        {"correlationid": "a b"},
        {"causationid": ""},
        {"correlationid": "x" * 129},
        {"source": "mads"},
        {"source": "/" + "x" * 256},
        {"subject": "a/b"},
        {"tenantid": "a#b"},
        {"actor": ""},
        {"type": "nodots"},
        {"type": "Org.Example"},
        {"type": "org." + "x" * 125},
        {"leaseepoch": 2**53},
        {"leaseepoch": True},
        {"retry": 1},
        {"seenversion": -1},
    ],
)
def test_an_attribute_that_is_not_well_formed_makes_the_event_malformed(attributes: dict[str, object]) -> None:
    assert isinstance(LAW.decode(changed(value("org.example.thing", {}), **attributes)), Malformed)


def test_attributes_that_just_fit_are_read() -> None:
    longest = {"correlationid": "x" * 128, "causationid": "a", "source": "/" + "x" * 255, "type": "org." + "x" * 124}
    most = {"leaseepoch": 2**53 - 1, "expectedversion": 0, "seenversion": 0, "retry": True}
    assert isinstance(LAW.decode(changed(value("org.example.thing", {}), **longest, **most)), Event)


def test_the_id_of_a_malformed_event_is_told_where_it_can_be_read() -> None:
    def told(raw: bytes) -> str | None:
        malformed = LAW.decode(raw)
        assert isinstance(malformed, Malformed)
        return malformed.id

    raw = said("hi", id="m-1")
    assert told(raw.replace(b'"role"', b'"roll"')) == "m-1"
    assert told(changed(raw, rules=0)) == "m-1"
    assert told(changed(raw, id="a b")) is None
    assert told(changed(raw, id=7)) is None
    assert told(raw[:-1]) is None


def test_a_value_of_exactly_the_limit_is_read_and_one_byte_more_is_not() -> None:
    raw = said("hi")
    assert isinstance(LAW.decode(raw + b" " * (VALUE_BYTES - len(raw))), Event)
    refused = LAW.decode(raw + b" " * (VALUE_BYTES - len(raw) + 1))
    assert refused == Malformed(f"the value has {VALUE_BYTES + 1} bytes, the limit is {VALUE_BYTES}")


def test_a_door_of_older_rules_refuses_newer_ones() -> None:
    with pytest.raises(InvalidEventError, match="does not know rules 2"):
        value("message.appended", TEXT, rules=2)


def test_a_door_writes_typed_events_as_it_writes_plain_ones() -> None:
    plain = said("hi", id="m-1")
    assert encode(AnyEvent.validate_json(plain)) == plain
    removed = value("session.metadata_updated", {"title": None}, id="m-2")
    assert encode(AnyEvent.validate_json(removed)) == removed


def test_content_counts_with_type_and_actor() -> None:
    def content(raw: bytes) -> bytes:
        event = LAW.decode(raw)
        assert isinstance(event, Event)
        return event.content_hash

    thing = content(value("org.example.thing", {"a": 1}))
    assert len(thing) == 16
    assert thing == content(value("org.example.thing", {"a": 1}, correlationid="x", leaseepoch=3, source="/other"))
    others = [
        value("org.example.other", {"a": 1}),
        value("org.example.thing", {"a": 2}),
        value("org.example.thing", {"a": 1}, actor="bob"),
    ]
    assert len({thing, *map(content, others)}) == 4


INNER = b'{"data":{"n":1},"type":"org.example.thing"}'


@pytest.mark.parametrize(
    "spelled",
    [
        INNER.replace(b'"n":1', b'"n": 1') + b"," + INNER,
        INNER + b"," + INNER.replace(b'"n":1', b'"n": 1'),
        INNER + b", " + INNER,
        INNER + b',{"type":"org.example.thing","data":{"n":1}}',
        b'{"type":"org.example.thing","data":{"n":1}},' + INNER,
        INNER + b"," + INNER.replace(b'"n"', b'"\\u006e"'),
    ],
)
def test_the_content_hash_of_a_batch_is_the_same_however_it_is_spelled(spelled: bytes) -> None:
    raw = value("batch.appended", {"events": [{"type": "org.example.thing", "data": {"n": 1}}] * 2})
    assert INNER + b"," + INNER in raw
    first, second = LAW.decode(raw), LAW.decode(raw.replace(INNER + b"," + INNER, spelled))
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert first.content_hash == second.content_hash


def test_a_key_that_stands_twice_in_an_event_of_a_batch_is_noticed() -> None:
    raw = value("batch.appended", {"events": [{"type": "org.example.thing", "data": {"n": 1}}] * 2})
    assert isinstance(LAW.decode(raw.replace(b'"n":1', b'"n":1,"n":1', 1)), Malformed)
    assert isinstance(LAW.decode(raw.replace(b'"n":1},"type"', b'"n":1},"data":{"n":1},"type"', 1)), Malformed)


def test_what_is_malformed_says_why() -> None:
    assert LAW.decode(None) == Malformed("the record has no value")
    unreadable = LAW.decode(b"nothing")
    assert isinstance(unreadable, Malformed)
    assert "malformed" in unreadable.detail


def test_a_door_may_fill_a_value_to_the_last_byte() -> None:
    room = VALUE_BYTES - len(said("", id="m"))
    assert len(said("x" * room, id="m")) == VALUE_BYTES
    with pytest.raises(LimitExceededError):
        said("x" * (room + 1), id="m")
