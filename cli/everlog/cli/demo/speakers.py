"""The speakers: they join their conversations and append what they said, all conversations side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from everlog.cli.demo.dataset import Conversation
from everlog.cli.demo.script import IMPORTER, events_of, joining, key_of, title_of
from everlog.cli.demo.visibility import Visibility
from everlog.client import Everlog, Message, text
from everlog.domain.encoding import encode
from everlog.ports.log import EVENT_HEADERS
from everlog.producers.producer import Producer
from everlog.schemas.payloads import ParticipantJoined

SIDE_BY_SIDE: Final = 400
"""Conversations that go on at once through the Kafka appender: enough to fill its batches."""
SIDE_BY_SIDE_HTTP: Final = 8
"""Conversations that go on at once through the gateway."""

Advance = Callable[[int], None]
"""Told how many messages were appended."""


class BulkSpeakers:
    """Appends conversations through the Kafka appender: each event is acknowledged before the speaker goes on."""

    def __init__(self, producer: Producer, visibility: Visibility, advance: Advance) -> None:
        self._producer, self._visibility, self._advance = producer, visibility, advance
        self.events = 0

    async def hold(self, conversations: Sequence[Conversation]) -> None:
        """Hold all conversations, a bounded number side by side."""
        await side_by_side([partial(self._hold, one) for one in conversations], SIDE_BY_SIDE)

    async def _hold(self, conversation: Conversation) -> None:
        for event in events_of(conversation):
            value = encode(event)
            await self._visibility.before_append()
            began = time.perf_counter()
            position = await self._producer.append(key_of(conversation), value, EVENT_HEADERS)
            self._visibility.appended(position, began)
            self.events += 1
            self._advance(event.type == Message.type_name)


class GatewaySpeakers:
    """Appends conversations through the gateway: each message waits for its verdict."""

    def __init__(self, url: str, token_for: Callable[[str], str], visibility: Visibility, advance: Advance) -> None:
        self._url, self._token_for = url, token_for
        self._visibility, self._advance = visibility, advance
        self.events = 0
        self.latencies_ms: list[float] = []

    async def hold(self, conversations: Sequence[Conversation]) -> None:
        """Hold all conversations, a bounded number side by side."""
        async with self._client(IMPORTER) as importer:
            await side_by_side([partial(self._hold, importer, one) for one in conversations], SIDE_BY_SIDE_HTTP)

    async def _hold(self, importer: Everlog, conversation: Conversation) -> None:
        await self._counted(importer.create(conversation.id, title=title_of(conversation)))
        async with AsyncExitStack() as stack:
            speakers = {}
            for name in conversation.speakers:
                log = await stack.enter_async_context(self._client(name))
                speakers[name] = log.session(conversation.id)
                await self._counted(speakers[name].append(ParticipantJoined(**joining(name))))
            for said in conversation.utterances:
                began = time.perf_counter()
                await self._counted(speakers[said.sender].append(Message(role="user", parts=[text(said.text)])))
                self.latencies_ms.append((time.perf_counter() - began) * 1000)
                self._advance(1)

    async def _counted(self, append: Awaitable[object]) -> None:
        await self._visibility.before_append()
        await append
        self.events += 1

    def _client(self, principal: str) -> Everlog:
        return Everlog.connect(self._url, token=self._token_for(principal))


async def side_by_side(work: Sequence[Callable[[], Awaitable[None]]], bound: int) -> None:
    """Run pieces of work, at most ``bound`` at once; the first failure cancels the rest."""
    places = asyncio.Semaphore(bound)

    async def run(piece: Callable[[], Awaitable[None]]) -> None:
        async with places:
            await piece()

    async with asyncio.TaskGroup() as group:
        for piece in work:
            group.create_task(run(piece))
