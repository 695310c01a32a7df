"""The door of a run: hands records over with the real producer, and remembers what it was told."""

from __future__ import annotations

from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from everlog.domain.record import Position
from everlog.ports.log import EVENT_HEADERS
from everlog.producers import Producer
from everlog.schemas.errors import UnavailableError

APPEND_TIMEOUT_S: Final = 1.5
"""Shorter than most faults of Kafka: many writers do not know whether their event landed, and hand it over again."""


class Sent(NamedTuple):
    """A hand-over: the record, and the session's version as it could be read before."""

    key: str
    value: bytes
    seen_version: int


class Acknowledged(NamedTuple):
    """Kafka has it; None where it did not tell the position."""

    key: str
    value: bytes
    position: Position | None


class Door:
    """Appends; every hand-over and every acknowledgement is kept."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.sent: list[Sent] = []
        self.acknowledged: list[Acknowledged] = []
        self.unanswered = 0
        """Hand-overs that may have landed or not."""

    async def append(self, key: str, value: bytes, seen_version: int = 0) -> Position | None:
        """Append a record; None when nothing is known about it, or not where it lies."""
        self.sent.append(Sent(key, value, seen_version))
        try:
            position = await self._producer.append(key, value, EVENT_HEADERS)
        except UnavailableError:
            self.unanswered += 1
            return None
        self.acknowledged.append(Acknowledged(key, value, position))
        return position

    async def repeat(self, chance: Random) -> None:
        """Hand something over again, as lost answers, careless networks and restarted spools do."""
        match chance.randrange(4):
            case 0:
                await self._again(chance.choice(self.sent), is_stamped=False)
            case 1:
                await self._again(chance.choice(self.sent), is_stamped=True)
            case 2:
                first = chance.randrange(len(self.sent))
                batch = self.sent[first : first + chance.randint(2, 30)]
                is_stamped = chance.random() < 0.7
                for sent in chance.sample(batch, len(batch)):
                    await self._again(sent, is_stamped=is_stamped)
            case _:
                await self._nonsense(chance)

    async def _again(self, sent: Sent, *, is_stamped: bool) -> None:
        value = stamped(sent.value, sent.seen_version) if is_stamped else sent.value
        await self.append(sent.key, value, sent.seen_version)

    async def _nonsense(self, chance: Random) -> None:
        """What is no event, belongs to another session than its key says, or to none."""
        one, other = chance.choice(self.sent), chance.choice(self.sent)
        match chance.randrange(3):
            case 0:
                await self.append(one.key, b"not an event")
            case 1:
                await self.append(one.key, other.value)
            case _:
                await self.append("of no session", one.value)


def stamped(value: bytes, seen_version: int) -> bytes:
    """The event as a second hand-over of it; what is no event stays as it is."""
    try:
        event: Any = msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value
    return msgspec.json.encode({**event, "retry": True, "seenversion": seen_version})
