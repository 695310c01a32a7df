"""Messages as they should be seen: what holds, what shows, and that pages together are the whole."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from everlog.domain.merging import Merge
from everlog.domain.messages import (
    CURSOR_CHARACTERS,
    Cursor,
    Message,
    MessageView,
    Place,
    decode_cursor,
    encode_cursor,
)
from everlog.domain.stored import TimelineEntry
from everlog.schemas.errors import InvalidEventError, LimitExceededError
from everlog.schemas.identifiers import full_type
from support.events import value

Inner = tuple[str, dict[str, Any]]
CREATION: Inner = ("session.created", {"owner": "ada"})


def text(words: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": words}]


def said(words: str, **more: Any) -> Inner:
    return "message.appended", {"role": "user", "parts": text(words), **more}


def edited(version: int, words: str, **more: Any) -> Inner:
    return "message.edited", {"version": version, "parts": text(words), **more}


def redacted(version: int, **more: Any) -> Inner:
    return "message.redacted", {"version": version, **more}


def asked(call: str) -> Inner:
    return "tool_call.requested", {"tool_call": call, "name": f"tool of {call}", "arguments": {"of": call}}


def answered(call: str) -> Inner:
    return "tool_call.completed", {"tool_call": call, "parts": text(f"result of {call}")}


def failed(call: str) -> Inner:
    error = {"type": "timeout", "message": "too slow"}
    return "tool_call.failed", {"tool_call": call, "error": error}


def compacted(first: int, last: int, words: str = "summary") -> Inner:
    return "history.compacted", {"from_version": first, "to_version": last, "parts": text(words)}


def rewound(version: int) -> Inner:
    return "session.rewound", {"to_version": version}


def timeline(*events: Inner | list[Inner], creation: Inner = CREATION) -> list[TimelineEntry]:
    """Entries of versions 1, 2, ...: the creation, then each event; a list is a batch."""
    return [_entry(version, event) for version, event in enumerate([creation, *events], 1)]


def _entry(version: int, event: Inner | list[Inner]) -> TimelineEntry:
    if isinstance(event, list):
        inner = [{"type": full_type(name), "data": data} for name, data in event]
        event = ("batch.appended", {"events": inner})
    expected = {"expectedversion": version - 1} if event[0] == "session.rewound" else {}
    return TimelineEntry(version, version, 1_000 * version, value(event[0], event[1], **expected))


def read(
    entries: Sequence[TimelineEntry],
    view: MessageView = "model",
    count: int = 1_000,
    cursor: str | None = None,
    is_fork: bool = False,
    looked_at: list[int] | None = None,
) -> tuple[list[Message], str | None]:
    """A page, as a reader of a store would make it."""
    known = decode_cursor(cursor) if cursor is not None else None
    merge = Merge(view, count, len(entries), cursor=known, is_fork=is_fork)
    for newer in reversed(entries[known.seen :] if known is not None else ()):
        merge.add_newer(newer)
    while merge.wants:
        if looked_at is not None:
            looked_at.append(merge.next)
        merge.add(entries[merge.next - 1])
    for version in merge.wanted():
        merge.learn(entries[version - 1])
    messages, following = merge.page()
    return messages, encode_cursor(following) if following is not None else None


def words(messages: Sequence[Message]) -> list[str]:
    """What messages say, in short."""
    told = []
    for message in messages:
        call = message.tool_call
        if message.redacted:
            told.append("redacted")
        elif call is not None and message.role == "assistant":
            told.append(f"{call.status} {call.tool_call}")
        elif call is not None and call.error is not None:
            told.append(f"error of {call.tool_call}")
        else:
            told.append(message.parts[0]["text"])
    return told


def test_messages_are_named_by_their_version_and_in_a_batch_by_their_index_too() -> None:
    messages, following = read(timeline(said("one"), [said("two", author="bob"), said("three")]))
    assert words(messages) == ["one", "two", "three"] and following is None
    assert [(each.version, each.index, each.author) for each in messages] == [
        (2, None, "ada"),
        (3, 0, "bob"),
        (3, 1, "ada"),
    ]
    assert messages[0].timestamp == 2_000


def test_the_newest_edit_holds_and_says_so() -> None:
    messages, _ = read(timeline(said("one"), [said("two")], edited(2, "b"), edited(2, "c"), edited(3, "d", index=0)))
    assert words(messages) == ["c", "d"] and [each.edited for each in messages] == [True, True]


def test_an_edit_that_was_redacted_does_not_hold() -> None:
    assert words(read(timeline(said("one"), edited(2, "two"), edited(2, "secret"), redacted(4)))[0]) == ["two"]


@pytest.mark.parametrize("view", ["model", "raw"])
def test_a_redaction_holds_wherever_it_stands(view: MessageView) -> None:
    entries = timeline(said("secret"), redacted(2), edited(2, "secret again"), said("two"), rewound(2))
    message = read(entries, view)[0][0]
    assert message.redacted and message.parts == []


def test_a_redaction_without_an_index_takes_back_a_whole_batch() -> None:
    entries = timeline([said("one"), said("two")], redacted(2), [said("three"), said("four")], redacted(4, index=1))
    assert words(read(entries)[0]) == ["redacted", "redacted", "three", "redacted"]


def test_what_was_rewound_away_shows_to_people_only() -> None:
    entries = timeline(said("one"), said("two"), edited(2, "edited"), compacted(2, 3), rewound(2), said("three"))
    assert words(read(entries)[0]) == ["one", "three"]
    assert words(read(entries, "raw")[0]) == ["edited", "two", "three"]


def test_a_rewinding_that_was_itself_rewound_away_hides_nothing() -> None:
    entries = timeline(said("one"), said("two"), rewound(2), said("gone"), rewound(3), said("three"))
    assert words(read(entries)[0]) == ["one", "two", "three"]


def test_a_summary_stands_for_what_it_covers() -> None:
    entries = timeline(said("one"), said("two"), said("three"), compacted(2, 3), said("four"))
    messages, following = read(entries)
    assert words(messages) == ["summary", "three", "four"] and following is None
    assert (messages[0].version, messages[0].role, messages[0].summary) == (5, "system", True)
    assert words(read(entries, "raw")[0]) == ["one", "two", "three", "four"]


def test_a_newer_summary_takes_the_place_of_those_within_its_stretch() -> None:
    entries = timeline(said("one"), said("two"), compacted(1, 2, "first"), said("three"), compacted(2, 5, "second"))
    assert words(read(entries)[0]) == ["second"]


def test_summaries_that_overlap_are_both_shown() -> None:
    entries = timeline(*[said(str(at)) for at in range(2, 7)], compacted(2, 4, "first"), compacted(4, 5, "second"))
    assert words(read(entries)[0]) == ["first", "second", "6"]


def test_what_a_summary_of_the_whole_beginning_covers_is_not_even_read() -> None:
    looked_at: list[int] = []
    entries = timeline(*[said(str(at)) for at in range(500)], compacted(2, 490), said("new"))
    messages, following = read(entries, looked_at=looked_at)
    assert messages[0].summary and following is None and min(looked_at) == 491


def test_a_redacted_summary_says_nothing() -> None:
    assert words(read(timeline(said("one"), compacted(2, 2), redacted(3)))[0]) == ["redacted"]


def test_a_fork_begins_with_the_summary_of_its_parent() -> None:
    summary = {"from_version": 2, "to_version": 9, "parts": text("before")}
    creation = ("session.created", {"owner": "ada", "summary": summary})
    entries = timeline(said("one"), said("two"), compacted(2, 2), creation=creation)
    assert words(read(entries, is_fork=True)[0]) == ["before", "summary", "two"]
    assert words(read(entries, "raw", is_fork=True)[0]) == ["one", "two"]


def test_a_result_stands_right_behind_its_request_for_models() -> None:
    entries = timeline(asked("a"), said("one"), [asked("b"), answered("a")], failed("b"), asked("c"))
    messages, _ = read(entries)
    assert words(messages) == ["one", "completed a", "result of a", "failed b", "error of b", "requested c"]
    assert messages[2].tool_call is not None and messages[2].tool_call.name == "tool of a"
    in_order = ["requested a", "one", "requested b", "result of a", "error of b", "requested c"]
    assert words(read(entries, "raw")[0]) == in_order


def test_a_page_holds_a_result_and_its_request_and_the_older_page_neither() -> None:
    entries = timeline(said("one"), asked("a"), said("two"), said("three"), answered("a"))
    messages, following = read(entries, count=1)
    assert words(messages) == ["completed a", "result of a"]
    assert words(read(entries, cursor=following)[0]) == ["one", "two", "three"]


def test_a_redacted_call_keeps_its_name_only() -> None:
    messages, _ = read(timeline(asked("a"), answered("a"), redacted(2), redacted(3)))
    assert words(messages) == ["redacted", "redacted"]
    assert messages[0].tool_call is not None and messages[0].tool_call.arguments is None


def test_encrypted_parts_are_shown_as_they_are() -> None:
    sealed = {"enc": {"key": "k", "nonce": "A" * 16, "text": "A" * 24, "size": 2, "mac": "A" * 22}}
    assert read(timeline(("message.appended", {"role": "user", "parts": sealed})))[0][0].parts == sealed


def test_types_of_applications_are_no_messages() -> None:
    assert read(timeline(("com.example.thing.v1", {"a": 1})))[0] == []


def test_a_value_that_is_no_event_is_no_message() -> None:
    entries = [*timeline(said("one")), TimelineEntry(3, 3, 3, b"{}")]
    assert words(read(entries)[0]) == ["one"]


def test_a_reading_shows_the_conversation_as_it_was_but_for_redactions() -> None:
    entries = timeline(said("one"), said("two"), said("three"), edited(2, "ONE"))
    messages, following = read(entries, count=1)
    assert words(messages) == ["three"]
    later = [*entries, _entry(6, edited(3, "TWO")), _entry(7, redacted(2)), _entry(8, rewound(1))]
    assert words(read(later, cursor=following)[0]) == ["redacted", "two"]


def test_an_edit_that_is_redacted_while_one_reads_takes_its_message_back() -> None:
    entries = timeline(said("one"), said("two"), edited(2, "secret"))
    _, following = read(entries, count=1)
    assert words(read([*entries, _entry(5, redacted(4))], cursor=following)[0]) == ["redacted"]


def test_a_page_may_end_before_it_is_full() -> None:
    entries = timeline(said("one"), said("two"), answered("unasked"))
    merge = Merge("model", 10, len(entries))
    merge.add(entries[-1])
    messages, following = merge.page()
    assert words(messages) == ["result of unasked"] and following is not None and following.before[0] == 3
    assert words(read(entries, cursor=encode_cursor(following))[0]) == ["one", "two"]


@pytest.mark.parametrize(
    "cursor", ["", "?", "AAAA", "x" * (CURSOR_CHARACTERS + 1), "12", encode_cursor(Cursor((3, 0), 2))]
)
def test_a_text_that_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidEventError, match="before"):
        decode_cursor(cursor)


def test_a_cursor_that_would_be_too_large_says_so_when_it_is_used() -> None:
    drawn = random.Random(1)
    many: list[Place] = [(drawn.randrange(2**50), None) for _ in range(2_000)]
    cursor = encode_cursor(Cursor((7, 0), 9, redactions=many))
    assert len(cursor) < 100
    with pytest.raises(LimitExceededError):
        decode_cursor(cursor)


class _Item(NamedTuple):
    version: int
    at: int | None
    type: str
    data: dict[str, Any]

    @property
    def place(self) -> Place:
        return self.version, self.at


def expected(events: Sequence[Inner | list[Inner]], view: MessageView) -> list[str]:
    """What a whole conversation says, found with everything at hand: the definition that the merge must agree with."""
    items = [
        _Item(version, index if isinstance(event, list) else None, name, data)
        for version, event in enumerate(events, 2)
        for index, (name, data) in enumerate(event if isinstance(event, list) else [event])
    ]
    hidden: set[int] = set()
    for item in reversed(items):
        if view == "model" and item.type == "session.rewound" and item.version not in hidden:
            hidden |= set(range(item.data["to_version"] + 1, item.version))
    gone = {(item.data["version"], item.data.get("index")) for item in items if item.type == "message.redacted"}

    def is_gone(place: Place) -> bool:
        return place in gone or (place[0], None) in gone

    holding = [item for item in items if item.version not in hidden]
    edits: dict[Place, str] = {}
    for item in holding:
        if item.type == "message.edited" and not is_gone(item.place):
            edits[item.data["version"], item.data.get("index")] = item.data["parts"][0]["text"]
    summaries: list[_Item] = []
    for item in reversed(holding):
        if view == "model" and item.type == "history.compacted":
            first, last = max(item.data["from_version"], 2), item.data["to_version"]
            within = [max(one.data["from_version"], 2) <= first and last <= one.data["to_version"] for one in summaries]
            if not any(within):
                summaries.append(item)
    covered = {version for one in summaries for version in range(one.data["from_version"], one.data["to_version"] + 1)}
    showing = [item for item in holding if item.version not in covered]
    requests: dict[int, _Item] = {}
    for at, item in enumerate(items):
        if item.type == "tool_call.completed" and item in showing and view == "model":
            asking = [one for one in items[:at] if one.type == "tool_call.requested"]
            requests[at] = next(one for one in reversed(asking) if one.data["tool_call"] == item.data["tool_call"])
    told: list[tuple[tuple[int, int, int], list[str]]] = []
    for nth, one in enumerate(summaries):
        told.append(
            (
                (one.data["to_version"], 999, -nth),
                ["redacted" if is_gone(one.place) else one.data["parts"][0]["text"]],
            )
        )
    for at, item in enumerate(items):
        place = item.version, item.at or 0, 0
        is_back = is_gone(item.place)
        if item not in showing:
            continue
        if item.type == "message.appended":
            told.append((place, ["redacted" if is_back else edits.get(item.place, item.data["parts"][0]["text"])]))
        elif item.type == "tool_call.completed":
            lines = ["redacted" if is_back else f"result of {item.data['tool_call']}"]
            if at in requests:
                asking_one = requests[at]
                redacted_one = is_gone(asking_one.place)
                lines.insert(0, "redacted" if redacted_one else f"completed {asking_one.data['tool_call']}")
            told.append((place, lines))
        elif item.type == "tool_call.requested" and item not in requests.values():
            told.append((place, ["redacted" if is_back else f"requested {item.data['tool_call']}"]))
    return [line for _, lines in sorted(told, key=lambda pair: pair[0]) for line in lines]


def conversation(drawn: random.Random, length: int) -> list[Inner | list[Inner]]:
    """A conversation by chance, in which calls are opened and closed as the law wants it."""
    calls: list[str] = []
    numbers = iter(range(10_000))

    def one(version: int, is_inner: bool) -> Inner:
        target = drawn.randint(1, version - 1)
        place: dict[str, Any] = {"index": drawn.randint(0, 2)} if drawn.random() < 0.3 else {}
        match drawn.choice("mmmmmeeerctttwp"):
            case "e":
                return edited(target, f"edit {next(numbers)}", **place)
            case "r":
                return redacted(target, **place)
            case "c":
                return compacted(drawn.randint(1, target), target, f"summary {next(numbers)}")
            case "t" if calls and drawn.random() < 0.6:
                return answered(calls.pop(drawn.randrange(len(calls))))
            case "t":
                calls.append(f"call{next(numbers)}")
                return asked(calls[-1])
            case "w" if not is_inner and drawn.random() < 0.5:
                return rewound(drawn.randint(1, version - 1))
            case "p":
                return "state.patched", {"set": {"a": 1}}
        return said(f"words {next(numbers)}")

    events: list[Inner | list[Inner]] = []
    for version in range(2, length + 2):
        if version > 2 and drawn.random() < 0.2:
            events.append([one(version, True) for _ in range(drawn.randint(1, 3))])
        else:
            events.append(one(version, False))
    return events


@settings(max_examples=int(os.environ.get("MESSAGE_EXAMPLES", "150")), deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 40), st.sampled_from(["model", "raw"]))
@example(7, 30, "model")
def test_pages_of_any_size_are_together_what_the_whole_conversation_says(
    seed: int, length: int, view: MessageView
) -> None:
    drawn = random.Random(seed)
    events = conversation(drawn, length)
    entries = timeline(*events)
    whole = expected(events, view)
    assert words(read(entries, view)[0]) == whole
    paged: list[str] = []
    cursor: str | None = None
    while True:
        messages, cursor = read(entries, view, drawn.randint(1, 5), cursor)
        paged = words(messages) + paged
        if cursor is None:
            break
    assert paged == whole
