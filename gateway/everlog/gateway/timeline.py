"""Pages of a timeline from whichever tier holds them.

The newest entries are hot, those from ``timeline_from`` on are warm, older ones come from history. A page is read in
chunks, so that it can end early when it has bytes enough.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

from everlog.domain.stored import TimelineEntry
from everlog.gateway.live import LivePointer, Tiers
from everlog.gateway.reading import SessionReader, Shown
from everlog.ports.history import History
from everlog.ports.hot import TAIL_ENTRIES
from everlog.schemas.errors import UnavailableError
from everlog.schemas.http import Tier

CHUNK_ENTRIES: Final = 100
"""Entries that are read at once: at most 25 MiB of the largest ones."""
PAGE_BYTES: Final = 4 * 1024 * 1024
"""A page ends early when its records have so many bytes: what one answer may cost."""
_COLDNESS: Final[dict[Tier, int]] = {"hot": 0, "warm": 1, "cold": 2}

log = logging.getLogger(__name__)


def colder(one: Tier, other: Tier) -> Tier:
    """The colder of two tiers."""
    return max(one, other, key=_COLDNESS.__getitem__)


class Page(NamedTuple):
    """Entries in the order asked for; ``next_after`` is where the next page begins, None at the end."""

    entries: list[TimelineEntry]
    next_after: int | None
    tier: Tier
    """The coldest tier that was needed."""
    shown: Shown
    """The state whose timeline it is."""


class TimelineReader:
    """Reads timelines. Every method raises ``UnavailableError``, ``NotFoundError``."""

    def __init__(self, reader: SessionReader, pointer: LivePointer, history: History) -> None:
        self._reader, self._pointer, self._history = reader, pointer, history

    async def page(
        self,
        key: str,
        *,
        after: int | None,
        limit: int,
        newest_first: bool,
        bytes_max: int = PAGE_BYTES,
        min_version: int = 0,
    ) -> Page:
        """The entries behind version ``after`` (None: from the beginning) in the order asked for.

        Of a session at ``min_version`` at least, waited for: raises ``NotYetError`` otherwise.
        """
        shown = await self._reader.at_least(key, min_version)
        if newest_first:
            first, last = 1, min(shown.version, (after if after is not None else shown.version + 1) - 1)
        else:
            first, last = (after or 0) + 1, shown.version
        return await self._fill(key, shown, first, last, limit, newest_first, bytes_max)

    async def stretch(self, key: str, shown: Shown, first: int, last: int) -> tuple[list[TimelineEntry], Tier]:
        """The entries of versions ``first`` to ``last`` inclusive of a session as it is shown, and their coldest tier;
        at most ``CHUNK_ENTRIES``."""
        return await self._stretch(await self._pointer.tiers(), key, shown, first, last)

    async def _fill(
        self, key: str, shown: Shown, first: int, last: int, limit: int, newest_first: bool, bytes_max: int
    ) -> Page:
        tiers = await self._pointer.tiers()
        entries: list[TimelineEntry] = []
        tier, size = shown.tier, 0
        while first <= last and len(entries) < limit:
            count = min(CHUNK_ENTRIES, limit - len(entries), last - first + 1)
            start = last - count + 1 if newest_first else first
            chunk, chunk_tier = await self._stretch(tiers, key, shown, start, start + count - 1)
            tier = colder(tier, chunk_tier)
            for entry in reversed(chunk) if newest_first else chunk:
                size += len(entry.value)
                if entries and size > bytes_max:
                    return Page(entries, entries[-1].version, tier, shown)
                entries.append(entry)
            first, last = (first, start - 1) if newest_first else (start + count, last)
        return Page(entries, entries[-1].version if entries and first <= last else None, tier, shown)

    async def _stretch(
        self, tiers: Tiers, key: str, shown: Shown, first: int, last: int
    ) -> tuple[list[TimelineEntry], Tier]:
        if first > shown.version - TAIL_ENTRIES:
            tail = await self._tail(tiers, key, first, last)
            if len(tail) == last - first + 1:
                return tail, "hot"
        warm_from = max(first, shown.timeline_from)
        warm = await tiers.warm.timeline(key, warm_from, last) if warm_from <= last else []
        have = {entry.version: entry for entry in warm}
        missing = [version for version in range(first, last + 1) if version not in have]
        if not missing:
            return warm, "warm"
        cold = await self._history.entries(key, missing[0], missing[-1])
        have |= {entry.version: entry for entry in cold}
        if any(version not in have for version in missing):
            raise UnavailableError("history", f"it does not have all of versions {missing[0]} to {missing[-1]}")
        return [have[version] for version in range(first, last + 1)], "cold"

    async def _tail(self, tiers: Tiers, key: str, first: int, last: int) -> list[TimelineEntry]:
        try:
            return [entry for entry in await tiers.hot.tail(key) if first <= entry.version <= last]
        except UnavailableError as error:
            log.debug("The hot store does not answer, reading warm: %s", error)
            return []
