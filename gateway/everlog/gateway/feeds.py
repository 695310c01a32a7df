"""What the readers of one session's stream share: its version, its newest frames, and word that there is more.

A reader keeps nothing but the version that it has come to. Whoever is further behind than the shared frames reach reads
pages from the stores, so a slow reader costs no memory, and a session costs the same with one reader or a thousand.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from everlog.domain.redaction import redacts
from everlog.domain.stored import TimelineEntry
from everlog.gateway.answers import event_body
from everlog.ports.hot import key_mark

SHARED_FRAMES: Final = 16
"""Newest frames of a session that are kept encoded: more than come while a reader sends one."""
SHARED_BYTES: Final = 64 * 1024
"""Their size."""
SHARED_DELTAS: Final = 64
"""Newest deltas: who is slower misses some."""


class Frame(NamedTuple):
    """A version, and the bytes that tell it."""

    version: int
    data: bytes


def event_frame(entry: TimelineEntry) -> Frame:
    """The frame of an accepted event."""
    body = orjson.dumps(event_body(entry)).replace(b"\n", b" ").replace(b"\r", b" ")  # a record may hold white space
    return Frame(entry.version, b"id: %d\nevent: event\ndata: %b\n\n" % (entry.version, body))


def delta_frame(data: bytes) -> bytes:
    """The frame of a delta: without an id, so that nobody resumes from it."""
    return b"event: delta\ndata: %b\n\n" % data


class Feed:
    """A session that somebody follows."""

    def __init__(self, key: str) -> None:
        self.key, self.mark = key, key_mark(key)
        self.version = 0
        """The newest version that is known."""
        self.readers = 0
        self.told = 0
        """How many deltas there were."""
        self.news = asyncio.Event()
        """Set when there is more than there was; a new one takes its place then."""
        self._frames: deque[Frame] = deque()
        """Without a hole, the last one of ``version``."""
        self._bytes = 0
        self._deltas: deque[bytes] = deque(maxlen=SHARED_DELTAS)

    def reach(self, version: int) -> None:
        """A version is known to be there; its frames are not."""
        if version > self.version:
            self._frames.clear()
            self.version, self._bytes = version, 0
            self.wake()

    def add(self, entries: Sequence[TimelineEntry]) -> None:
        """Newest entries, without a hole, oldest first. Behind a redaction nothing older is shared any more."""
        new = [entry for entry in entries if entry.version > self.version]
        if not new:
            return
        if new[0].version != self.version + 1 or any(map(redacts, new)):  # what is taken back may be told already
            self._frames.clear()
            self._bytes = 0
        for entry in new:
            frame = event_frame(entry)
            self._frames.append(frame)
            self._bytes += len(frame.data)
        while self._frames and (len(self._frames) > SHARED_FRAMES or self._bytes > SHARED_BYTES):
            self._bytes -= len(self._frames.popleft().data)
        self.version = new[-1].version
        self.wake()

    def tell(self, data: bytes) -> None:
        """A delta came."""
        self._deltas.append(delta_frame(data))
        self.told += 1
        self.wake()

    def behind(self, version: int) -> list[Frame] | None:
        """The frames behind a version; None where the shared ones do not reach back to it."""
        missing = self.version - version
        if missing <= 0:
            return []
        if missing > len(self._frames):
            return None
        return list(self._frames)[-missing:]

    def deltas_since(self, told: int) -> list[bytes]:
        """The deltas since there were so many, as far as they are kept."""
        missed = self.told - told
        return list(self._deltas)[-missed:] if missed > 0 else []

    def wake(self) -> None:
        """Let every reader look again."""
        self.news.set()
        self.news = asyncio.Event()
