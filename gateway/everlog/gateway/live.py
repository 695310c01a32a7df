"""Which generation is read, and the readers of its stores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from everlog.ports.control import ControlStore, Live
from everlog.ports.hot import HotReader
from everlog.ports.warm import WarmReader
from everlog.schemas.errors import NotFoundError, UnavailableError

LIVE_AGE_S: Final = 1.0
"""A live pointer and hot epoch are held for so long at most, while the control store answers."""
WATCH_PERIOD_S: Final = 0.5
"""How often they are read again in the background, so that requests hardly ever wait for it."""
REFRESH_TIMEOUT_S: Final = 1.0
"""What a request waits for the control store before it goes on with the last ones."""


class Tiers(NamedTuple):
    """The readers of one generation under one hot epoch."""

    hot: HotReader
    warm: WarmReader


OpenTiers = Callable[[Live], Tiers]


class LivePointer:
    """The live generation's readers, at most a second old; the last ones while the control store is away."""

    def __init__(self, control: ControlStore, open_tiers: OpenTiers, monotonic_s: Callable[[], float]) -> None:
        self._control, self._open, self._monotonic_s = control, open_tiers, monotonic_s
        self._live: Live | None = None
        self._tiers: Tiers | None = None
        self._read_at_s = 0.0
        self._away = False
        self._refreshing = asyncio.Lock()
        self._changed = asyncio.Event()

    async def tiers(self) -> Tiers:
        """The readers to use now. Raises ``UnavailableError`` if there has been no answer yet: also before
        ``everlog init``."""
        if self._tiers is None or (self._is_old() and not self._away):
            async with self._refreshing:
                if self._tiers is None or (self._is_old() and not self._away):
                    await self._refresh()
        assert self._tiers is not None  # noqa: S101 (a type narrowing: _refresh raises without)
        return self._tiers

    async def changed(self, tiers: Tiers) -> None:
        """Wait until other readers than these are to be used."""
        while self._tiers is tiers:
            await self._changed.wait()

    async def watch(self) -> None:
        """Keep the pointer fresh until cancelled."""
        while True:
            async with self._refreshing:
                if self._tiers is not None:
                    await self._refresh()
            await asyncio.sleep(WATCH_PERIOD_S)

    def _is_old(self) -> bool:
        return self._monotonic_s() - self._read_at_s > LIVE_AGE_S

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(REFRESH_TIMEOUT_S):
                live = await self._control.live()
        except (UnavailableError, NotFoundError, TimeoutError) as error:
            self._away = True
            if self._tiers is None:
                raise UnavailableError("the control store", str(error) or "no answer in time") from error
            return
        self._away, self._read_at_s = False, self._monotonic_s()
        if live != self._live or self._tiers is None:
            self._live, self._tiers = live, self._open(live)
            self._changed.set()
            self._changed = asyncio.Event()
