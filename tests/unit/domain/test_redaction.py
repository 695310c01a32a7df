"""What a redaction takes out of the entries that readers are given, and what it leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from everlog.domain.event import Event
from everlog.domain.fold import Stretch, fold_session
from everlog.domain.law import LAW
from everlog.domain.record import Record
from everlog.domain.redaction import Edit, Redactions, blanked, is_copy, redacts
from everlog.domain.stored import TimelineEntry
from everlog.schemas.identifiers import full_type
from support.events import value

KEY = "acme/rome-42"
SECRET = "the code is 4711"
PARTS = [{"type": "text", "text": SECRET}]


def entry(version: int, type_name: str, data: dict[str, Any]) -> TimelineEntry:
    return TimelineEntry(version, 10 * version, 1_000 * version, value(type_name, data))


def said(version: int, words: str = SECRET) -> TimelineEntry:
    return entry(version, "message.appended", {"role": "user", "parts": [{"type": "text", "text": words}]})


def edit(version: int, message: int, **more: Any) -> TimelineEntry:
    return entry(version, "message.edited", {"version": message, "parts": PARTS, **more})


def batch(version: int, *inner: tuple[str, dict[str, Any]]) -> TimelineEntry:
    events = [{"type": full_type(name), "data": data} for name, data in inner]
    return entry(version, "batch.appended", {"events": events})


def conversation(version: int, *words: str) -> TimelineEntry:
    """Messages as a batch."""
    parts = [[{"type": "text", "text": word}] for word in words]
    return batch(version, *[("message.appended", {"role": "user", "parts": each}) for each in parts])


def told(one: TimelineEntry) -> str:
    """The value of an entry, proved to be an event."""
    assert isinstance(LAW.decode(one.value), Event)
    return one.value.decode()


def words_in(one: TimelineEntry) -> list[str]:
    return [inner["data"]["parts"][0]["text"] for inner in json.loads(told(one))["data"]["events"]]


@pytest.mark.parametrize(
    ("type_name", "data"),
    [
        ("message.appended", {"role": "user", "parts": PARTS, "author": "ada"}),
        ("message.edited", {"version": 2, "parts": PARTS}),
        ("tool_call.requested", {"tool_call": "c", "name": "search", "arguments": {"q": SECRET}}),
        ("tool_call.completed", {"tool_call": "c", "parts": PARTS, "duration_ms": 5}),
        ("tool_call.failed", {"tool_call": "c", "error": {"type": "timeout", "message": SECRET}}),
        ("history.compacted", {"from_version": 1, "to_version": 2, "parts": PARTS}),
        ("session.created", {"owner": "ada", "summary": {"from_version": 1, "to_version": 9, "parts": PARTS}}),
    ],
)
def test_what_a_message_says_is_taken_out_and_a_valid_event_stays(type_name: str, data: dict[str, Any]) -> None:
    whole = entry(3, type_name, data)
    left = blanked(whole, {(3, None): 4})
    assert SECRET in told(whole) and SECRET not in told(left)
    assert (left.version, left.offset, left.timestamp) == (3, 30, 3_000)
    assert json.loads(left.value)["id"] == json.loads(whole.value)["id"]
    assert blanked(left, {(3, None): 4}) is left, "there is nothing more to take out"


def test_of_a_batch_only_what_is_meant_is_taken_out() -> None:
    whole = conversation(3, "a", "b", "c")
    assert words_in(blanked(whole, {(3, 1): 4})) == ["a", "", "c"]
    assert words_in(blanked(whole, {(3, None): 4})) == ["", "", ""]


def test_edits_of_a_message_go_with_it_and_later_ones_stay() -> None:
    taken_back: Redactions = {(2, None): 5}
    later = edit(6, 2)
    inner = ("message.edited", {"version": 2, "index": 0, "parts": PARTS})
    assert SECRET not in told(blanked(edit(3, 2), taken_back))
    assert words_in(blanked(batch(4, inner), taken_back)) == [""]
    assert blanked(later, taken_back) is later


def test_an_edit_of_another_place_of_a_batch_stays() -> None:
    one = edit(3, 2, index=1)
    assert blanked(one, {(2, 0): 5}) is one
    assert SECRET not in told(blanked(one, {(2, 1): 5}))


@pytest.mark.parametrize(
    ("type_name", "data"),
    [
        ("session.created", {"owner": "ada", "summary": None}),
        ("state.patched", {"set": {"city": "Rome"}}),
        ("com.example.noted", {"parts": "theirs"}),
        ("session.suspended", {}),
    ],
)
def test_what_is_no_message_stays_as_it_is(type_name: str, data: dict[str, Any]) -> None:
    one = entry(3, type_name, data)
    assert blanked(one, {(3, None): 4}) is one


def test_a_fold_tells_what_was_redacted_and_edited() -> None:
    values = [
        value("session.created", {"owner": "ada"}),
        *[said(0).value] * 3,
        edit(0, 2).value,
        batch(0, *[("message.edited", {"version": message, "parts": PARTS}) for message in (3, 2, 3)]).value,
        value("message.redacted", {"version": 2}),
        batch(0, ("message.redacted", {"version": 2}), ("message.redacted", {"version": 3, "index": 0})).value,
        value("message.redacted", {"version": 77}),
    ]
    records = [
        Record(0, offset, 1_000, KEY.encode(), raw.replace(b'"id":"', b'"id":"%d' % offset, 1))
        for offset, raw in enumerate(values)
    ]
    fold = fold_session(KEY, None, records, Stretch(0, 0, 0))
    assert len(fold.entries) == 8, "a version that is not there cannot be taken back"
    assert fold.edits == [Edit(2, 5), Edit(2, 6), Edit(3, 6)]
    assert fold.redactions == {(2, None): 8, (3, 0): 8}
    assert [redacts(one) for one in fold.entries] == [False] * 6 + [True] * 2


def test_a_copy_is_the_entry_or_what_a_redaction_left_of_it() -> None:
    whole = conversation(3, "a", "b")
    some: list[Redactions] = [{}, {(3, 0): 4}, {(3, 1): 4}, {(3, None): 4}]
    for taken_back in some:
        assert is_copy(blanked(whole, taken_back), whole)
    assert not is_copy(whole, blanked(whole, {(3, 0): 4})), "nothing comes back"


@pytest.mark.parametrize("forged", [b"forged", b"[]", b"{}", b'{"type":"x"}', said(3, "other words").value])
def test_anything_else_is_no_copy(forged: bytes) -> None:
    assert not is_copy(TimelineEntry(3, 30, 3_000, forged), said(3))
    assert not is_copy(TimelineEntry(3, 31, 3_000, said(3).value), said(3))
