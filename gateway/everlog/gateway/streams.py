"""Streams of sessions: every reader gets every version once, in order, from wherever it has to be read.

How a stream learns of new versions: the message of a batch names the sessions that it moved, and each of them that
somebody follows here is looked at once in the hot tail, whatever the number of its readers. A message can be lost and
Redis can be away, so all that are followed are also compared with the warm store, every few seconds in one query.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Final

from everlog.gateway.feeds import Feed, event_frame
from everlog.gateway.identity import Identity
from everlog.gateway.live import LivePointer
from everlog.gateway.reading import SessionReader
from everlog.gateway.timeline import TimelineReader
from everlog.gateway.verdicts import OutcomeWaiter
from everlog.ports.deltas import Deltas, Listening
from everlog.ports.hot import Outcomes
from everlog.schemas.errors import EverlogError, RateLimitedError, UnavailableError

LOOKERS: Final = 8
"""Sessions that are looked at at once: some thousand looks a second."""
LOOK_ENTRIES: Final = 4
"""Newest entries of one look: more come only if a batch had more of one session, and those are read as a page."""
COMPARE_S: Final = 2.0
"""How often followed sessions are compared with the warm store while messages come."""
COMPARE_ALONE_S: Final = 0.5
"""And while none can come."""
PAGE_ENTRIES: Final = 100
RETRY_S: Final = 1.0
LONGEST_S: Final = 3600.0
"""A stream ends then, and is opened again with a token that is valid still."""

log = logging.getLogger(__name__)


class Stream:
    """One reader: read its ``frames``, then ``close`` it in any case."""

    def __init__(self, streams: Streams, feed: Feed, owner: tuple[str, str]) -> None:
        self._streams, self._feed, self.owner, self._version = streams, feed, owner, 0
        self._told = feed.told
        self._is_open = True

    async def frames(self) -> AsyncIterator[bytes]:
        """Frames of events and deltas, until the process ends, the stores fail, or an hour has passed."""
        feed, ends_s = self._feed, asyncio.get_running_loop().time() + LONGEST_S
        while not self._streams.is_ending:
            news = feed.news
            frames = feed.behind(self._version)
            if frames is None:
                try:
                    async for data in self._pages():
                        yield data
                except EverlogError as error:
                    log.info("A stream ends, for what it needs cannot be read now: %s", error)
                    return
                continue
            for frame in frames:
                self._version = frame.version
                yield frame.data
            deltas = feed.deltas_since(self._told)
            self._told = feed.told
            for delta in deltas:
                yield delta
            if not frames and not deltas and not await _within(news, ends_s):
                return

    async def _pages(self) -> AsyncIterator[bytes]:
        """What the shared frames do not reach back to."""
        timelines, wanted = self._streams.timelines, self._feed.version
        while self._version < wanted and not self._streams.is_ending:
            page = await timelines.page(
                self._feed.key, after=self._version, limit=PAGE_ENTRIES, newest_first=False, min_version=wanted
            )
            for entry in page.entries:
                self._version = entry.version
                yield event_frame(entry).data

    def begin(self, after: int) -> None:
        """Start behind a version."""
        self._version = after

    def close(self) -> None:
        """Give back what it holds; may be called again."""
        if self._is_open:
            self._is_open = False
            self._streams.closed(self, self._feed)


class Streams:
    """All streams of a process. ``run`` it beside the requests."""

    def __init__(
        self,
        *,
        reader: SessionReader,
        timelines: TimelineReader,
        pointer: LivePointer,
        waiter: OutcomeWaiter,
        deltas: Deltas,
        streams_max: int,
        streams_of_principal_max: int,
        count: Callable[[int], None],
    ) -> None:
        """``count`` is told how many streams are open whenever that changes."""
        self.timelines = timelines
        self._reader, self._pointer, self._waiter, self._deltas = reader, pointer, waiter, deltas
        self._streams_max, self._of_principal_max, self._count = streams_max, streams_of_principal_max, count
        self._feeds: dict[str, Feed] = {}
        self._by_mark: dict[int, list[Feed]] = {}
        self._owners: Counter[tuple[str, str]] = Counter()
        self._moved: OrderedDict[Feed, None] = OrderedDict()
        self._has_moved = asyncio.Event()
        self._changed: asyncio.Queue[str] = asyncio.Queue()
        """Sessions that are followed since, or no longer."""
        self.is_ending = False
        waiter.listeners.append(self._hear)

    async def open(self, identity: Identity, key: str, after: int | None) -> Stream:
        """A stream of what comes behind version ``after``, or behind the session's version as it is now.

        Raises what ``SessionReader.current`` does, ``RateLimitedError`` where the principal has too many streams,
        ``UnavailableError`` where the process has, or is about to end.
        """
        owner = identity.tenant, identity.principal
        if self.is_ending or self._owners.total() >= self._streams_max:
            raise UnavailableError("the gateway", "no further stream can be opened here", retry_after_s=RETRY_S)
        if self._owners[owner] >= self._of_principal_max:
            raise RateLimitedError(
                "the gateway", f"{identity.principal} has {self._of_principal_max} streams open", retry_after_s=RETRY_S
            )
        feed = self._followed(key)  # from here on no version is missed
        stream = Stream(self, feed, owner)
        feed.readers += 1
        self._owners[owner] += 1
        self._count(self._owners.total())
        try:
            shown = await self._reader.current(key)
        except BaseException:
            stream.close()
            raise
        feed.reach(shown.version)
        self._look_at(feed)
        stream.begin(after if after is not None else shown.version)
        return stream

    def closed(self, stream: Stream, feed: Feed) -> None:
        """A stream has ended."""
        self._owners[stream.owner] -= 1
        if not self._owners[stream.owner]:
            del self._owners[stream.owner]
        self._count(self._owners.total())
        feed.readers -= 1
        if not feed.readers:
            del self._feeds[feed.key]
            self._moved.pop(feed, None)
            marked = self._by_mark[feed.mark]
            marked.remove(feed)
            if not marked:
                del self._by_mark[feed.mark]
            self._changed.put_nowait(feed.key)

    def end(self) -> None:
        """Let every stream end soon: its reader comes again with the last id, to another process."""
        self.is_ending = True
        for feed in self._feeds.values():
            feed.wake()

    async def run(self) -> None:
        """Look, compare and listen, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(LOOKERS):
                tasks.create_task(self._look())
            tasks.create_task(self._compare())
            tasks.create_task(self._listen())

    def _followed(self, key: str) -> Feed:
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = Feed(key)
            self._by_mark.setdefault(feed.mark, []).append(feed)
            self._changed.put_nowait(key)
        return feed

    def _hear(self, outcomes: Outcomes) -> None:
        for mark in outcomes.moved:
            for feed in self._by_mark.get(mark, ()):
                self._look_at(feed)

    def _look_at(self, feed: Feed) -> None:
        self._moved[feed] = None
        self._has_moved.set()

    async def _look(self) -> None:
        """Look at sessions that moved. Two may look at one: a feed takes each version once."""
        while True:
            while not self._moved:
                self._has_moved.clear()
                await self._has_moved.wait()
            feed, _ = self._moved.popitem(last=False)
            try:
                tiers = await self._pointer.tiers()
                tail = await tiers.hot.tail(feed.key, LOOK_ENTRIES)
                if tail and tail[-1].version > feed.version:
                    feed.add(tail)
                elif not tail:
                    await self._compare_with_warm([feed])
            except UnavailableError as error:
                log.debug("A session that moved is seen later: %s", error)

    async def _compare(self) -> None:
        while True:
            await asyncio.sleep(COMPARE_S if self._waiter.is_following else COMPARE_ALONE_S)
            try:
                await self._compare_with_warm(list(self._feeds.values()))
            except UnavailableError as error:
                log.debug("Streams are not compared with the warm store: %s", error)

    async def _compare_with_warm(self, feeds: list[Feed]) -> None:
        if feeds:
            versions = await (await self._pointer.tiers()).warm.versions([feed.key for feed in feeds])
            for feed in feeds:
                feed.reach(versions.get(feed.key, 0))

    async def _listen(self) -> None:
        """Hear the deltas of the sessions that are followed, as far as they can be heard."""
        while True:
            try:
                async with self._deltas.listen() as listening:
                    for key in list(self._feeds):
                        await listening.follow(key)
                    await self._hear_deltas(listening)
            except UnavailableError as error:
                log.info("No deltas are heard: %s", error)
            await asyncio.sleep(RETRY_S)

    async def _hear_deltas(self, listening: Listening) -> None:
        following = asyncio.create_task(self._follow_changes(listening))
        try:
            async for delta in listening.deltas():
                feed = self._feeds.get(delta.key)
                if feed is not None:
                    feed.tell(delta.data)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow_changes(self, listening: Listening) -> None:
        """A channel that is lost shows where deltas are waited for."""
        while True:
            key = await self._changed.get()
            await (listening.follow(key) if key in self._feeds else listening.unfollow(key))


async def _within(news: asyncio.Event, ends_s: float) -> bool:
    try:
        async with asyncio.timeout_at(ends_s):
            await news.wait()
    except TimeoutError:
        return False
    return True
