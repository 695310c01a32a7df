"""Comparing what came back with the data set, utterance by utterance."""

from __future__ import annotations

from collections.abc import Sequence

from everlog.cli.demo.dataset import Conversation
from everlog.client import TimelineEvent
from everlog.schemas.payloads import MessageAppended


def differences(conversation: Conversation, events: Sequence[TimelineEvent]) -> int:
    """How many utterances of a conversation are missing, changed, out of order, or were never said.

    ``events`` is its whole timeline as the gateway gives it.
    """
    came_back = [
        (event.actor, event.data["parts"][0]["text"]) for event in events if event.type == MessageAppended.type_name
    ]
    said = [(utterance.sender, utterance.text) for utterance in conversation.utterances]
    wrong = sum(one != other for one, other in zip(said, came_back, strict=False))
    return wrong + abs(len(said) - len(came_back))
