"""Appending events: as fast as possible, or by a schedule that waits for nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, NamedTuple

from everlog.domain.record import Position
from everlog.ports.log import EVENT_HEADERS, Appender

AT_ONCE: Final = 5_000
"""Appends that wait for their acknowledgement together while a topic is filled."""


class Appended(NamedTuple):
    """An append of a schedule: when it was due and when it was acknowledged, in seconds of one clock, and where."""

    due_s: float
    acknowledged_s: float
    position: Position


async def fill(producer: Appender, events: Iterable[tuple[str, bytes]]) -> None:
    """Append all events, each session's in order."""
    remaining = iter(events)
    while some := list(islice(remaining, AT_ONCE)):
        await asyncio.gather(*(producer.append(key, value, EVENT_HEADERS) for key, value in some))


async def append_on_schedule(
    producer: Appender,
    events: Iterable[tuple[str, bytes]],
    per_s: float,
    now_s: Callable[[], float] = time.perf_counter,
) -> list[Appended]:
    """Append events, the n-th one n / ``per_s`` seconds after the first, whether or not the others were answered.

    An event that is handed over late was due all the same: its waiting counts. Else a system that stalls would be
    asked nothing meanwhile, and its stall would count once instead of for everyone who would have come
    ("coordinated omission", Gil Tene).
    """
    appends = []
    began_s = now_s()
    for number, (key, value) in enumerate(events):
        due_s = began_s + number / per_s
        await asyncio.sleep(due_s - now_s())
        appends.append(asyncio.create_task(_append(producer, key, value, due_s, now_s)))
    return await asyncio.gather(*appends)


async def _append(producer: Appender, key: str, value: bytes, due_s: float, now_s: Callable[[], float]) -> Appended:
    position = await producer.append(key, value, EVENT_HEADERS)
    if position is None:
        raise ValueError("the broker acknowledged without a position: something was sent twice")
    return Appended(due_s, now_s(), position)
