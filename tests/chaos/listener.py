"""Everything that is published about outcomes, as a gateway hears it: subscribed again when the line is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from everlog.adapters.redis import RedisHotStore
from everlog.ports.hot import Outcomes
from everlog.runtime.config import RedisSettings
from everlog.schemas.errors import UnavailableError

PAUSE_S: Final = 0.1
"""Before it is subscribed again."""
POLL_S: Final = 0.02


class Listener:
    """Hears outcomes and keeps all of them."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self.heard: list[Outcomes] = []
        self._packed: dict[tuple[int, int], int] = {}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """While the body runs."""
        listening = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def outcome(self, partition: int, offset: int, timeout_s: float) -> int | None:
        """The packed outcome of a record; None if it is not heard in time."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while (packed := self._packed.get((partition, offset))) is None:
            if asyncio.get_running_loop().time() > deadline_s:
                return None
            await asyncio.sleep(POLL_S)
        return packed

    async def _listen(self) -> None:
        async with RedisHotStore(self._settings, 1, 1) as hot:
            while True:
                try:
                    async with hot.subscribe() as messages:
                        async for message in messages:
                            self._take_in(message)
                except UnavailableError:
                    await asyncio.sleep(PAUSE_S)

    def _take_in(self, message: Outcomes) -> None:
        self.heard.append(message)
        for offset, packed in enumerate(message.packed, message.first):
            self._packed[message.partition, offset] = packed
