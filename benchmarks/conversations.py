"""The demo's real conversations as the records that its speakers append."""

from __future__ import annotations

from itertools import zip_longest
from typing import Final

from everlog.cli.demo.dataset import Conversation, load_conversations
from everlog.cli.demo.script import events_of, key_of
from everlog.domain.encoding import encode
from everlog.domain.record import Record

CONVERSATIONS: Final = 2_000
"""Of 7,168: some 80,000 events, so that a round takes seconds."""
SIDE_BY_SIDE: Final = 400
"""Conversations that go on at once, as in the demo: a batch of the log holds a few events of each."""
PARTITION: Final = 0
"""All records lie in one partition of one: a single core folds them."""


def records() -> list[Record]:
    """The records of the conversations, interleaved, with dense offsets."""
    conversations = load_conversations(CONVERSATIONS)
    values: list[tuple[bytes, bytes]] = []
    for first in range(0, len(conversations), SIDE_BY_SIDE):
        values += interleaved([_events(one) for one in conversations[first : first + SIDE_BY_SIDE]])
    return numbered(values)


def interleaved(histories: list[list[tuple[bytes, bytes]]]) -> list[tuple[bytes, bytes]]:
    """Keys and values, one of each history in turn."""
    return [pair for row in zip_longest(*histories) for pair in row if pair is not None]


def numbered(values: list[tuple[bytes, bytes]]) -> list[Record]:
    """The records of keys and values."""
    return [Record(PARTITION, offset, 1_700_000_000_000 + offset, *pair) for offset, pair in enumerate(values)]


def _events(conversation: Conversation) -> list[tuple[bytes, bytes]]:
    key = key_of(conversation).encode()
    return [(key, encode(event)) for event in events_of(conversation)]
