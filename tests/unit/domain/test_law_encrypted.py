"""Encrypted content: the law reads its size and its mac, and never what it says."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import pytest

from everlog.domain.content import as_encrypted, clear_size, masked
from everlog.domain.event import Event, Malformed
from everlog.domain.law import LAW
from everlog.domain.verdicts import Accepted, Duplicate, Reason
from everlog.schemas.content import ciphertext_characters
from everlog.schemas.errors import InvalidEventError
from support.events import event, value
from support.law import Session, inner, reason_of, sealed

OTHER = {"nonce": "P" * 16, "letter": "D"}


def whole(type_name: str, **kind: str) -> tuple[str, dict[str, Any]]:
    """An event of a type with everything encrypted that may be."""
    content = sealed(9, **kind)
    data: dict[str, dict[str, Any]] = {
        "session.created": {"owner": "ada", "title": content, "labels": {"l": content}, "state": {"k": content}},
        "session.metadata_updated": {"title": content, "labels": {"l": content, "gone": None}},
        "session.rewound": {
            "to_version": 1,
            "title": content,
            "summary": {"from_version": 1, "to_version": 1, "parts": content},
        },
        "message.appended": {"role": "user", "parts": content},
        "message.edited": {"version": 1, "parts": content},
        "tool_call.requested": {"tool_call": "t", "name": "n", "arguments": content},
        "interrupt.raised": {"interrupt": "i", "reason": "r", "message": content},
        "state.patched": {"set": {"k": content}},
        "history.compacted": {"from_version": 1, "to_version": 1, "parts": content},
        "batch.appended": {"events": [inner("message.appended", {"role": "user", "parts": content})]},
        "org.example.thing": {"deep": [{"inside": content}]},
    }
    return type_name, data[type_name]


TYPES = (
    "session.created",
    "session.metadata_updated",
    "session.rewound",
    "message.appended",
    "message.edited",
    "tool_call.requested",
    "interrupt.raised",
    "state.patched",
    "history.compacted",
    "batch.appended",
    "org.example.thing",
)


@pytest.mark.parametrize("type_name", TYPES)
def test_a_retry_that_was_encrypted_anew_has_the_same_content_hash(type_name: str) -> None:
    attributes: dict[str, Any] = {"expectedversion": 1} if type_name == "session.rewound" else {}
    first = event(*whole(type_name), **attributes)
    again = event(*whole(type_name, **OTHER), **attributes)
    changed = event(*whole(type_name, mac="Q" * 22), **attributes)
    assert first.content_hash == again.content_hash
    assert first.content_hash != changed.content_hash


def test_a_retry_that_was_encrypted_anew_is_a_duplicate_and_other_content_is_not() -> None:
    session = Session()
    assert session.take(*whole("message.appended"), id="m") == Accepted(2)
    assert session.take(*whole("message.appended", **OTHER), id="m", retry=True) == Duplicate(Accepted(2))
    assert reason_of(session.take(*whole("message.appended", mac="Q" * 22), id="m")) == Reason.ID_REUSED


def test_another_size_under_the_same_mac_is_other_content() -> None:
    one, two = (event("message.appended", {"role": "user", "parts": sealed(size)}) for size in (9, 10))
    assert one.content_hash != two.content_hash


def test_clear_content_beside_an_encrypted_value_counts_in_full() -> None:
    one, two = (event("state.patched", {"set": {"a": sealed(9), "b": text}}) for text in "xy")
    assert one.content_hash != two.content_hash


@pytest.mark.parametrize(("size", "characters"), [(0, 22), (1, 23), (2, 24), (3, 26), (16, 43)])
def test_the_length_of_a_ciphertext_follows_from_the_clear_size(size: int, characters: int) -> None:
    assert ciphertext_characters(size) == characters
    assert len(urlsafe_b64encode(b"x" * (size + 16)).rstrip(b"=")) == characters


def damaged(**fields: Any) -> dict[str, Any]:
    return {"enc": {name: item for name, item in {**sealed(9)["enc"], **fields}.items() if item is not None}}


LIES = (
    damaged(size=10),
    damaged(size=8),
    damaged(size=-1),
    damaged(text="C" * 35),
    damaged(text="C" * 33 + "="),
    damaged(mac="M" * 21),
    damaged(mac="M" * 21 + "\n"),
    damaged(nonce="N" * 15),
    damaged(nonce="N" * 16 + "\n"),
    damaged(key="has space"),
    damaged(key=None),
    damaged(more=1),
    {**sealed(9), "more": 1},
    {"enc": "text"},
)


@pytest.mark.parametrize("lie", LIES)
def test_a_ciphertext_that_lies_about_itself_is_no_event(lie: dict[str, Any]) -> None:
    for type_name, data in (
        ("session.metadata_updated", {"title": lie}),
        ("session.metadata_updated", {"labels": {"l": lie}}),
        ("message.appended", {"role": "user", "parts": lie}),
        ("interrupt.raised", {"interrupt": "i", "reason": "r", "message": lie}),
    ):
        with pytest.raises(InvalidEventError):
            value(type_name, data)
    raw = value("session.metadata_updated", {"title": sealed(9)})
    assert isinstance(LAW.decode(raw.replace(b'"size":9', b'"size":10')), Malformed)


@pytest.mark.parametrize("lie", LIES)
def test_free_json_that_only_looks_encrypted_counts_as_it_stands(lie: dict[str, Any]) -> None:
    assert as_encrypted(lie) is None
    assert clear_size(lie) > 100 or "text" not in lie["enc"] or lie["enc"] == "text"
    assert masked(lie) == lie
    session = Session(state={"k": lie})
    assert session.standing.state_bytes == len('"k"') + clear_size(lie)


@pytest.mark.parametrize("other", [None, 7, "enc", [], {}, {"enc": 1, "more": 2}, {"other": sealed(9)["enc"]}])
def test_anything_else_is_not_encrypted(other: Any) -> None:
    assert as_encrypted(other) is None
    assert masked(other) == other


def test_masking_reaches_into_lists_and_objects() -> None:
    inside = {"mac": "M" * 22, "size": 9}
    assert masked([{"a": sealed(9), "b": [sealed(9), 1]}]) == [{"a": {"enc": inside}, "b": [{"enc": inside}, 1]}]


def test_an_encrypted_event_is_read_back_whole() -> None:
    decoded = LAW.decode(value("session.metadata_updated", {"title": sealed(9)}))
    assert isinstance(decoded, Event)
    session = Session()
    session.step(decoded)
    assert session.view.title == sealed(9)
