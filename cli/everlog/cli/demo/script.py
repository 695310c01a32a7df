"""A conversation as the events that its speakers append, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from everlog.cli.composition import new_id
from everlog.cli.demo.dataset import Conversation
from everlog.schemas.events import Event
from everlog.schemas.identifiers import session_key
from everlog.schemas.payloads import MessageAppended, ParticipantJoined, SessionCreated

TENANT: Final = "chitchat"
IMPORTER: Final = "chitchat-import"
"""Owner of every conversation."""
SOURCE: Final = "/import/chitchat"


def key_of(conversation: Conversation) -> str:
    """The session key of a conversation."""
    return session_key(TENANT, conversation.id)


def title_of(conversation: Conversation) -> str:
    """The title of a conversation."""
    return f"Chat of {conversation.utterances[0].time}"


def joining(speaker: str) -> dict[str, Any]:
    """The data of a speaker's joining."""
    return {"participant": speaker, "principal": speaker, "kind": "human"}


def events_of(conversation: Conversation) -> Iterator[Event]:
    """Its creation, its speakers' joining, and what they said."""

    def event(actor: str, time: str, type_name: str, data: dict[str, Any]) -> Event:
        return Event.model_construct(
            id=new_id(),
            source=SOURCE,
            type=type_name,
            subject=conversation.id,
            tenantid=TENANT,
            time=time,
            actor=actor,
            data=data,
        )

    began = conversation.utterances[0].time
    creation = {"owner": IMPORTER, "owner_kind": "service", "title": title_of(conversation)}
    yield event(IMPORTER, began, SessionCreated.type_name, creation)
    for speaker in conversation.speakers:
        yield event(speaker, began, ParticipantJoined.type_name, joining(speaker))
    for said in conversation.utterances:
        message = {"role": "user", "parts": [{"type": "text", "text": said.text}]}
        yield event(said.sender, said.time, MessageAppended.type_name, message)
