"""What the demo measures and compares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from everlog.cli.demo.comparison import differences
from everlog.cli.demo.dataset import Conversation, Utterance, load_conversations
from everlog.cli.demo.report import percentile
from everlog.cli.demo.visibility import AHEAD_EVENTS, Visibility
from everlog.client import TimelineEvent
from everlog.ports.hot import Outcomes
from everlog.ports.log import Position

CHAT = Conversation(
    "c", (Utterance("ada", "2018-05-02T19:38:15Z", "Hi"), Utterance("bob", "2018-05-02T19:38:20Z", "Ho"))
)


def said(version: int, actor: str, text: str) -> TimelineEvent:
    return TimelineEvent(
        version=version, event_id=str(version), type="everlog.message.appended.v1", actor=actor,
        recorded_at="", time="", data={"role": "user", "parts": [{"type": "text", "text": text}]},
    )  # fmt: skip


def test_the_data_set_has_its_7168_conversations_and_258145_utterances() -> None:
    conversations = load_conversations(None)
    assert len(conversations) == 7_168
    assert sum(len(conversation.utterances) for conversation in conversations) == 258_145


def test_a_conversation_that_came_back_whole_has_no_differences() -> None:
    assert differences(CHAT, [said(4, "ada", "Hi"), said(5, "bob", "Ho")]) == 0


def test_a_missing_changed_swapped_or_added_utterance_is_a_difference() -> None:
    assert differences(CHAT, [said(4, "ada", "Hi")]) == 1
    assert differences(CHAT, [said(4, "ada", "Hi"), said(5, "bob", "No")]) == 1
    assert differences(CHAT, [said(4, "bob", "Ho"), said(5, "ada", "Hi")]) == 2
    assert differences(CHAT, [said(4, "ada", "Hi"), said(5, "bob", "Ho"), said(6, "bob", "Ho")]) == 1


def test_a_percentile_is_one_of_the_samples() -> None:
    assert percentile([], 0.99) == 0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(number) for number in range(1, 101)], 0.99) == 100.0


async def test_appends_wait_while_the_projection_is_too_far_behind() -> None:
    visibility = Visibility()
    for _ in range(AHEAD_EVENTS):
        await visibility.before_append()
    waiting = asyncio.create_task(visibility.before_append())
    await asyncio.sleep(0)
    assert not waiting.done()

    async def outcomes() -> AsyncIterator[Outcomes]:
        yield Outcomes(0, 0, 0, [256])

    await visibility.follow(outcomes())
    await asyncio.wait_for(waiting, 1)


async def test_an_event_is_visible_from_the_batch_on_that_covers_its_offset() -> None:
    visibility = Visibility()

    async def outcomes() -> AsyncIterator[Outcomes]:
        yield Outcomes(0, 0, 0, [256, 512])

    visibility.appended(Position(0, 0, 1), began=0.0)
    visibility.appended(Position(0, 0, 2), began=0.0)
    visibility.appended(None, began=0.0)
    await visibility.follow(outcomes())
    (latency,) = visibility.latencies_ms()
    assert latency > 0
