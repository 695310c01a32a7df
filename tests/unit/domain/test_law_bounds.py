"""Every bound: what just fits is accepted, one more is refused with the bound's name, and space comes back."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest

from everlog.domain.canonical import id_hash
from everlog.domain.verdicts import Accepted
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.limits import (
    ARTIFACTS,
    LABELS,
    OPEN_REFERENCES,
    PRESENT_PARTICIPANTS,
    RING_ACCEPTED,
    RING_REJECTED,
    STATE_BYTES,
    STATE_KEYS,
)
from support.events import value
from support.law import Session, message, sealed

RING_BYTES: Final = 6 * 1024
"""Of the encoded ring."""


def filling(key: str, size: int) -> str:
    """A value that makes a key count for ``size`` bytes."""
    return "x" * (size - len(key) - 4)


def test_the_511_participants_of_a_creation_and_the_owner_fill_a_session() -> None:
    crowd = [
        {"participant": f"p{number}", "principal": "x", "kind": "human"} for number in range(PRESENT_PARTICIPANTS - 1)
    ]
    session = Session(participants=crowd)
    assert session.standing.present == PRESENT_PARTICIPANTS
    late = {"participant": "late", "principal": "x", "kind": "human"}
    assert session.refuse("participant.joined", late) == ("limit_exceeded", "present_participants")
    session.accept("participant.left", {"participant": "p7"})
    session.accept("participant.joined", late)
    assert session.refuse("participant.joined", {**late, "participant": "p7"}) == (
        "limit_exceeded",
        "present_participants",
    )


def test_a_session_has_64_labels() -> None:
    session = Session(labels={f"l{number}": "x" for number in range(LABELS - 1)})
    session.accept("session.metadata_updated", {"labels": {"last": "x"}})
    full = session.standing.labels
    assert session.refuse("session.metadata_updated", {"labels": {"more": "x"}}) == ("limit_exceeded", "labels")
    assert session.standing.labels == full
    session.accept("session.metadata_updated", {"labels": {"more": "x", "last": None}})
    session.accept("session.metadata_updated", {"labels": {"more": "y"}})
    assert len(session.standing.labels) == len(session.view.labels) == LABELS


KINDS: Final[dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]]] = {
    "run": ("run.started", {"agent": "a"}, "run.completed", {}),
    "tool_call": ("tool_call.requested", {"name": "n"}, "tool_call.completed", {"parts": sealed(9)}),
    "interrupt": ("interrupt.raised", {"reason": "r", "message": "m"}, "interrupt.resolved", {"status": "cancelled"}),
}


@pytest.mark.parametrize("field", KINDS)
def test_256_of_a_kind_may_be_open(field: str) -> None:
    opening, data, ending, end = KINDS[field]
    session = Session()
    for number in range(OPEN_REFERENCES):
        session.accept(opening, {field: f"n{number}", **data})
    assert session.refuse(opening, {field: "more", **data}) == ("limit_exceeded", f"open_{field}s")
    session.accept(ending, {field: "n0", **end})
    session.accept(opening, {field: "more", **data})
    assert session.refuse(opening, {field: "n0", **data}) == ("limit_exceeded", f"open_{field}s")


def test_a_state_document_has_256_keys() -> None:
    session = Session(state={f"k{number}": 1 for number in range(STATE_KEYS - 1)})
    session.accept("state.patched", {"set": {"last": 1}})
    assert session.refuse("state.patched", {"set": {"more": 1}}) == ("limit_exceeded", "state_keys")
    session.accept("state.patched", {"set": {"last": 2}})
    session.accept("state.patched", {"set": {"more": 1}, "unset": ["last", "never"]})
    assert session.refuse("state.patched", {"set": {"last": 1, "more": 2}}) == ("limit_exceeded", "state_keys")
    assert len(session.standing.keys) == STATE_KEYS


def test_a_state_document_has_32_kib_keys_and_quotes_counted() -> None:
    session = Session()
    exact = {"a": filling("a", STATE_BYTES // 2), "é": filling("éé", STATE_BYTES // 2)}
    session.accept("state.patched", {"set": exact})
    assert session.standing.state_bytes == STATE_BYTES
    assert session.refuse("state.patched", {"set": {"a": exact["a"] + "x"}}) == ("limit_exceeded", "state_bytes")
    assert session.refuse("state.patched", {"set": {"b": 0}}) == ("limit_exceeded", "state_bytes")
    session.accept("state.patched", {"set": {"a": exact["a"]}})
    session.accept("state.patched", {"unset": ["a"], "set": {"b": exact["a"]}})
    session.accept("state.patched", {"unset": ["b", "b"]})
    assert session.standing.state_bytes == STATE_BYTES // 2


def test_a_creation_may_fill_the_state_document_and_not_more() -> None:
    whole = filling("a", STATE_BYTES)
    assert Session(state={"a": whole}).standing.state_bytes == STATE_BYTES
    session = Session(created=False)
    too_much = session.refuse("session.created", {"owner": "ada", "state": {"a": whole + "x"}})
    assert too_much == ("limit_exceeded", "state_bytes")


def test_rewinding_counts_only_what_it_carries() -> None:
    whole = filling("a", STATE_BYTES)
    session = Session(state={"a": whole})
    session.accept("session.rewound", {"to_version": 1, "state": {"b": whole}}, expectedversion=1)
    refused = session.refuse("session.rewound", {"to_version": 1, "state": {"b": whole + "x"}}, expectedversion=2)
    assert refused == ("limit_exceeded", "state_bytes")
    assert (session.view.state, session.standing.state_bytes) == ({"b": whole}, STATE_BYTES)


def test_an_encrypted_value_counts_for_its_clear_size() -> None:
    session = Session(state={"a": sealed(STATE_BYTES - len('"a"'))})
    assert session.standing.state_bytes == STATE_BYTES
    assert session.refuse("state.patched", {"set": {"b": sealed(1)}}) == ("limit_exceeded", "state_bytes")
    session.accept("state.patched", {"set": {"a": sealed(7)}})
    assert session.standing.state_bytes == len('"a"') + 7
    assert session.view.state == {"a": sealed(7)}


def test_the_newest_256_artifacts_are_listed() -> None:
    session = Session()
    artifact = {"name": "n", "media_type": "m", "size_bytes": 1, "sha256": "0" * 64, "uri": "s3://a"}
    for number in range(ARTIFACTS + 3):
        session.accept("artifact.added", {"artifact": f"a{number}", **artifact})
    assert [listed.artifact for listed in session.view.artifacts] == [f"a{n}" for n in range(3, ARTIFACTS + 3)]


def test_the_ring_holds_the_last_256_accepted_and_64_rejected_in_6_kib() -> None:
    session = Session()
    for number in range(RING_ACCEPTED):
        session.say(id=f"a{number}")
        session.say(id=f"r{number}", expectedversion=0)
    ring = session.standing.ring
    assert len(msgspec.msgpack.encode(ring)) <= RING_BYTES
    kept = {
        kind: [number for number in range(RING_ACCEPTED) if ring.outcome(id_hash(f"{kind}{number}"))] for kind in "ar"
    }
    assert kept["a"] == list(range(RING_ACCEPTED))
    assert kept["r"] == list(range(RING_ACCEPTED - RING_REJECTED, RING_ACCEPTED))
    session.say(id="one-more")
    assert ring.outcome(id_hash("a0")) is None
    assert ring.outcome(id_hash("a1")) == Accepted(3)


@pytest.mark.parametrize(
    ("type_name", "data"),
    [
        ("session.metadata_updated", {"title": "x" * 513}),
        ("session.metadata_updated", {"labels": {"l": "x" * 257}}),
        ("session.metadata_updated", {"labels": {f"l{number}": "x" for number in range(65)}}),
        ("session.closed", {"outcome": "x" * 4097}),
        ("state.patched", {"set": {"x" * 129: 1}}),
        ("state.patched", {"set": {"": 1}}),
        ("state.patched", {"set": {f"k{number}": 1 for number in range(257)}}),
        ("state.patched", {"unset": [f"k{number}" for number in range(257)]}),
        ("state.patched", {"expected_keys": {f"k{number}": 1 for number in range(257)}}),
        ("state.patched", {"expected_keys": {"k": -1}}),
        ("message.appended", {"role": "user", "parts": [{"type": "text", "text": ""}] * 257}),
        ("message.appended", message(reply_to={"version": 1, "index": 200})),
        ("message.appended", message(reply_to={"version": 0})),
        ("run.started", {"run": "r", "agent": ""}),
        ("run.started", {"run": "r", "agent": "x" * 257}),
        ("run.started", {"run": "x" * 129, "agent": "a"}),
        ("lease.acquired", {"participant": "ada", "ttl_s": 0}),
        ("lease.acquired", {"participant": "ada", "ttl_s": 3601}),
        ("lease.released", {"participant": "ada", "epoch": 0}),
        ("batch.appended", {"events": []}),
        ("batch.appended", {"events": [{"type": "org.example.thing", "data": {}}] * 201}),
        ("org.example.thing", {"a": 2**53}),
        ("org.example.thing", {"a": 1e20}),
    ],
)  # fmt: skip
def test_what_passes_a_limit_of_its_form_is_no_event(type_name: str, data: dict[str, Any]) -> None:
    with pytest.raises((InvalidEventError, ValueError)):
        value(type_name, data)


@pytest.mark.parametrize(
    ("type_name", "data"),
    [
        ("session.metadata_updated", {"title": "é" * 512, "labels": {f"l{n}": "é" * 256 for n in range(64)}}),
        ("session.closed", {"outcome": "é" * 4096}),
        ("state.patched", {"set": {"é" * 128: 1}, "unset": [f"k{n}" for n in range(256)]}),
        ("message.appended", {"role": "user", "parts": [{"type": "text", "text": ""}] * 256}),
        ("run.started", {"run": "x" * 128, "agent": "é" * 256}),
        ("lease.acquired", {"participant": "ada", "ttl_s": 3600}),
        ("batch.appended", {"events": [{"type": "org.example.thing", "data": {}}] * 200}),
        ("org.example.thing", {"a": 2**53 - 1, "b": -(2**53) + 1, "c": 1e21, "d": 1e-300}),
    ],
)  # fmt: skip
def test_what_just_fits_its_form_is_accepted(type_name: str, data: dict[str, Any]) -> None:
    Session().accept(type_name, data)
