"""The demo's real conversations as the records that its speakers append."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final

from everlog.cli.composition import new_id
from everlog.cli.demo.dataset import Conversation, load_conversations
from everlog.cli.demo.speakers import IMPORTER, SOURCE, TENANT
from everlog.domain.encoding import encode
from everlog.domain.record import Record
from everlog.schemas.events import Event
from everlog.schemas.identifiers import full_type, session_key

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
    key = session_key(TENANT, conversation.id).encode()
    return [
        (key, encode(_event(conversation, *appended)))
        for appended in _appended(conversation, conversation.utterances[0].time)
    ]


def _appended(conversation: Conversation, began: str) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Actor, time, type and data of each event of a conversation."""
    yield IMPORTER, began, "session.created", {"owner": IMPORTER, "owner_kind": "service", "title": f"Chat of {began}"}
    for name in conversation.speakers:
        yield name, began, "participant.joined", {"participant": name, "principal": name, "kind": "human"}
    for said in conversation.utterances:
        parts = [{"type": "text", "text": said.text}]
        yield said.sender, said.time, "message.appended", {"role": "user", "parts": parts}


def _event(conversation: Conversation, actor: str, time: str, type_name: str, data: dict[str, Any]) -> Event:
    return Event.model_construct(
        id=new_id(),
        source=SOURCE,
        type=full_type(type_name),
        subject=conversation.id,
        tenantid=TENANT,
        time=time,
        actor=actor,
        data=data,
    )
