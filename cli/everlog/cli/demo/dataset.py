"""The demo's conversations: 7,168 real ones with 258,145 utterances, from the package chitchat-dataset (MIT licence).

Source: Will Myers, Tyler Etchart and Nancy Fulda, "Conversational Scaffolding: An Analogy-Based Approach to Response
Prioritization in Open-Domain Dialogs", ICAART 2020; https://pypi.org/project/chitchat-dataset.
"""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import dataclass
from typing import Any

from everlog.schemas.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Utterance:
    """One message: who, when (RFC 3339 UTC), what."""

    sender: str
    time: str
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation, its utterances in the order of the data set."""

    id: str
    utterances: tuple[Utterance, ...]

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who speaks, in the order of their first word."""
        return tuple(dict.fromkeys(utterance.sender for utterance in self.utterances))


def load_conversations(count: int | None) -> list[Conversation]:
    """The first ``count`` conversations, or all. Raises ``NotFoundError`` without the package."""
    try:
        file = importlib.resources.files("chitchat_dataset") / "dataset.json"
    except ModuleNotFoundError:
        raise NotFoundError(
            "the data set is not installed", hint="Install it with: pip install 'everlog[all]'"
        ) from None
    documents: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return [Conversation(name, tuple(_utterances(document))) for name, document in list(documents.items())[:count]]


def _utterances(document: dict[str, Any]) -> list[Utterance]:
    return [
        Utterance(message["sender"], message["timestamp"], message["text"])
        for turn in document["messages"]
        for message in turn
    ]
