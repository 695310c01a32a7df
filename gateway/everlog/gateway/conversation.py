"""Messages of a session, a page at a time, for models and for people.

A page is merged backwards from its newest entry (``everlog.domain.merging``), so it costs as many entries as it needs
and never grows with the conversation: after ``SCANNED_ENTRIES`` it ends, and its cursor leads on.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from everlog.domain.merging import Merge
from everlog.domain.messages import Message, MessageView, decode_cursor, encode_cursor
from everlog.domain.stored import TimelineEntry
from everlog.gateway.reading import SessionReader, Shown
from everlog.gateway.timeline import TimelineReader, colder
from everlog.ports.hot import TAIL_ENTRIES
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.http import Tier

SCANNED_ENTRIES: Final = 2_000
"""Entries that one page looks at: four for each message of the largest page."""
SCANNED_BYTES: Final = 8 * 1024 * 1024
"""Their size: what one answer may hold in memory."""
_CHUNK_ENTRIES: Final = TAIL_ENTRIES
"""Entries read at once: what is hot."""


class MessagesRead(NamedTuple):
    """Messages, oldest first, the cursor of older ones (None at the beginning), and the coldest tier needed."""

    messages: list[Message]
    next: str | None
    tier: Tier


class Conversation:
    """Reads messages."""

    def __init__(self, reader: SessionReader, timelines: TimelineReader) -> None:
        self._reader, self._timelines = reader, timelines

    async def shown(self, key: str, min_version: int) -> Shown:
        """The state whose messages are read. Raises what ``SessionReader.at_least`` does."""
        return await self._reader.at_least(key, min_version)

    async def page(self, key: str, shown: Shown, view: MessageView, count: int, before: str | None) -> MessagesRead:
        """About ``count`` messages, the newest or those before a cursor.

        Raises ``InvalidEventError`` and ``LimitExceededError`` for a cursor, ``NotYetError``, ``UnavailableError``.
        """
        cursor = decode_cursor(before) if before is not None else None
        if cursor is not None and cursor.seen > shown.version:
            shown = await self._reader.at_least(key, cursor.seen)
        is_fork = shown.state.view.forked_from is not None
        merge = Merge(view, count, shown.version, cursor=cursor, is_fork=is_fork)
        scan = _Scan(self._timelines, key, shown)
        if cursor is not None:
            await scan.newer(merge, cursor.seen + 1)
        await scan.fill(merge)
        for version in merge.wanted():
            for entry in await scan.entries(version, version):
                merge.learn(entry)
        messages, following = merge.page()
        return MessagesRead(messages, encode_cursor(following) if following is not None else None, scan.tier)


class _Scan:
    """Reading backwards, within bounds."""

    def __init__(self, timelines: TimelineReader, key: str, shown: Shown) -> None:
        self._timelines, self._key, self._shown = timelines, key, shown
        self._entries = self._bytes = 0
        self.tier: Tier = shown.tier

    async def newer(self, merge: Merge, first: int) -> None:
        """What came since the newest page was read."""
        last = self._shown.version
        if last - first >= SCANNED_ENTRIES:
            raise InvalidEventError(
                "too much happened since the newest page was read", hint="Leave before out to begin at the newest"
            )
        for start in range(first, last + 1, _CHUNK_ENTRIES):
            for entry in await self.entries(start, min(last, start + _CHUNK_ENTRIES - 1)):
                merge.add_newer(entry)

    async def fill(self, merge: Merge) -> None:
        """What the page needs, as far as the bounds allow."""
        while merge.wants and self._entries < SCANNED_ENTRIES and self._bytes < SCANNED_BYTES:
            last = merge.next
            for entry in reversed(await self.entries(max(1, last - _CHUNK_ENTRIES + 1), last)):
                if merge.wants and entry.version == merge.next:
                    merge.add(entry)

    async def entries(self, first: int, last: int) -> list[TimelineEntry]:
        entries, tier = await self._timelines.stretch(self._key, self._shown, first, last)
        self._entries += len(entries)
        self._bytes += sum(len(entry.value) for entry in entries)
        self.tier = colder(self.tier, tier)
        return entries
