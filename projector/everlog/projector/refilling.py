"""Keeping the hot store in step: follow its epoch, and put what is in memory under a new one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog

from everlog.ports.hot import HotWrite
from everlog.projector.hot import FOLLOW_S
from everlog.projector.owned import OwnedPartition
from everlog.projector.projection import Projection
from everlog.schemas.errors import UnavailableError

SLICE_SESSIONS: Final = 200
"""Sessions that are put at once: a batch of their partition waits for them, some ten milliseconds."""

_log = structlog.get_logger(__name__)


class Refiller:
    """Refills the hot store of a projection's sessions after each change of the hot epoch."""

    def __init__(self, projection: Projection, follow_s: float = FOLLOW_S) -> None:
        self._projection, self._follow_s = projection, follow_s
        self._filled_epoch = projection.hot.epoch

    async def run(self) -> None:
        """Follow and refill until cancelled; a store that is away is asked again."""
        while True:
            with contextlib.suppress(UnavailableError):
                await self.follow()
            await asyncio.sleep(self._follow_s)

    async def follow(self) -> None:
        """Go on under the epoch in force, and put every cached session under it if it is a new one."""
        hot = self._projection.hot
        await hot.follow()
        epoch = hot.epoch
        if epoch != self._filled_epoch and await self._refill():
            self._filled_epoch = epoch

    async def _refill(self) -> bool:
        """Put all cached sessions, slice by slice between batches; False if the store did not take one."""
        put = 0
        for owned in list(self._projection.owned.values()):
            keys = owned.cache.keys()
            for first in range(0, len(keys), SLICE_SESSIONS):
                written = await self._put(owned, keys[first : first + SLICE_SESSIONS])
                if written is None:
                    return False
                put += written
        _log.info("hot store refilled", sessions=put, hot_epoch=self._projection.hot.epoch)
        return True

    async def _put(self, owned: OwnedPartition, keys: Sequence[str]) -> int | None:
        """Put the sessions that are still cached; the lock keeps a batch from changing them meanwhile."""
        async with owned.lock:
            cached = [loaded.stored for key in keys if (loaded := owned.cache.look_at(key)) is not None]
            writes = [HotWrite(stored, ()) for stored in cached if stored.state is not None]
            return len(writes) if await self._projection.hot.put(writes) else None
