"""The work that every store of sessions does here, and how it is timed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import Any, Final, Protocol

TEXT: Final = ("The hotel near the station in Rome has two rooms from Friday on. " * 10)[:600]
"""A message: 600 bytes of text."""
STATE: Final[dict[str, Any]] = {"city": "Rome", "budget": 900, "wishes": ["quiet", "central"]}
OWNER: Final = "ada"
RECENT: Final = 50
"""The newest messages, as an agent reads them before it speaks."""
SESSIONS: Final = 20
"""Sessions that are written at once, each by one writer."""
WRITERS: Final = 8
"""Writers of one session, each with a handle of its own."""
APPENDING_S: Final = 4.0
WARM_UP_ROUNDS: Final = 5
LONG: Final = "long"
LENGTHS: Final = (100, 1_000, 10_000)
READS_MAX: Final = 200
READS_MIN: Final = 5
READING_S: Final = 4.0
"""No further read begins so long after the first, once there were ``READS_MIN``."""

Write = Callable[[], Awaitable[None]]
"""Appends a message; returns when it is known to be accepted and durable, as far as the store gives that."""


class SessionStore(Protocol):
    """What is compared."""

    async def create(self, session: str) -> None:
        """Begin a session."""

    async def writer(self, session: str) -> Write:
        """One more writer of a session. Where another one was faster it tries again, until its message is in."""

    async def fill(self, session: str, messages: int) -> None:
        """Append so many messages in whatever way is fast; not timed."""

    async def read(self, session: str, messages: int = 0) -> int:
        """Read the current state as the product's own users do; how many messages the session has.

        At least so many, waited for, where what is durable becomes visible only later.
        """

    async def read_recent(self, session: str) -> int:
        """Read what an agent needs to go on: the newest messages; how many there were."""


async def appending(store: SessionStore) -> dict[str, float]:
    """Appends a second: one writer, a writer each of ``SESSIONS`` sessions, ``WRITERS`` writers of one session."""
    return {
        "append_per_s": await rate(store, ["one"]),
        f"append_{SESSIONS}_sessions_per_s": await rate(store, [f"many-{number}" for number in range(SESSIONS)]),
        f"append_{WRITERS}_writers_per_s": await rate(store, ["shared"], writers=WRITERS),
    }


async def reading(store: SessionStore) -> dict[str, float]:
    """Milliseconds of a read, the median, at each of ``LENGTHS``."""
    metrics: dict[str, float] = {}
    await store.create(LONG)
    length = 0
    for wanted in LENGTHS:
        await store.fill(LONG, wanted - length)
        length = wanted
        _require(await store.read(LONG, length), length)
        _require(await store.read_recent(LONG), RECENT)
        metrics[f"read_ms_{length}"] = await _read_ms(store.read)
        metrics[f"recent_ms_{length}"] = await _read_ms(store.read_recent)
    return metrics


async def rate(store: SessionStore, sessions: Sequence[str], writers: int = 1) -> float:
    """Messages appended a second to new sessions, by so many writers of each.

    Raises ``ValueError`` unless all of them are there afterwards.
    """
    for session in sessions:
        await store.create(session)
    writes = [(session, await store.writer(session)) for session in sessions for _ in range(writers)]
    for _ in range(WARM_UP_ROUNDS):
        await asyncio.gather(*(write() for _, write in writes))
    warm_up = WARM_UP_ROUNDS * writers
    began_s = time.perf_counter()
    counts = await asyncio.gather(*(_keep_writing(write, began_s + APPENDING_S) for _, write in writes))
    per_s = sum(counts) / (time.perf_counter() - began_s)
    for number, session in enumerate(sessions):
        appended = warm_up + sum(counts[number * writers : (number + 1) * writers])
        _require(await store.read(session, appended), appended)
    return round(per_s, 1)


async def _keep_writing(write: Write, until_s: float) -> int:
    count = 0
    while time.perf_counter() < until_s:
        await write()
        await asyncio.sleep(0)  # a store that blocks must not keep the others from their turn
        count += 1
    return count


async def _read_ms(read: Callable[[str], Awaitable[int]]) -> float:
    took_ms: list[float] = []
    until_s = time.perf_counter() + READING_S
    while len(took_ms) < READS_MIN or (len(took_ms) < READS_MAX and time.perf_counter() < until_s):
        began_s = time.perf_counter()
        await read(LONG)
        took_ms.append((time.perf_counter() - began_s) * 1000)
    return round(median(took_ms), 2)


def _require(found: int, wanted: int) -> None:
    if found != wanted:
        raise ValueError(f"a session has {found} messages, not {wanted}")
