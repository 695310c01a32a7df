"""Following a session: its events as they come, over server-sent events.

The position is a version. After a broken connection the stream is opened again behind the last version that was given
to the caller; what comes twice is dropped, and a version that is missing breaks the connection, so there is neither a
gap nor a duplicate, whatever lies between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from everlog.client.link import Link, growing_pauses, is_passing
from everlog.client.reading import read_state
from everlog.schemas.errors import EverlogError, UnavailableError
from everlog.schemas.http import DeltaFrame, TimelineEvent

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 10.0
"""Between tries to connect again."""
EVENT: Final = "event"
DELTA: Final = "delta"
BATCH_TYPE: Final = "everlog.batch.appended.v1"

log = logging.getLogger(__name__)


class Frame(NamedTuple):
    """A server-sent event: its name and its data."""

    name: str
    data: str


async def frames(lines: AsyncIterable[str]) -> AsyncIterator[Frame]:
    """The frames of a stream of lines; comments and unknown fields are skipped.

    Source: WHATWG HTML, section 9.2.6. The id is not needed: it is the version, which the data tell.
    """
    name, data = "message", list[str]()
    async for line in lines:
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            continue
        if data:
            yield Frame(name, "\n".join(data))
        name, data = "message", []


async def follow(
    link: Link, session: str, after: int | None, deltas: bool
) -> AsyncGenerator[TimelineEvent | DeltaFrame]:
    """See ``Session.follow``."""
    version = after if after is not None else (await read_state(link, session)).version
    pause_s = growing_pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
    while True:
        try:
            async with aclosing(_connection(link, session, version)) as connection:
                async for shown in connection:
                    if isinstance(shown, TimelineEvent):
                        version = shown.version
                        pause_s = growing_pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
                        yield shown
                    elif deltas:
                        yield shown
        except EverlogError as error:
            if not is_passing(error):
                raise
            log.info("Session %s is followed again behind version %s: %s", session, version, error)
            await asyncio.sleep(_told_pause_s(error) + pause_s())
        else:
            await asyncio.sleep(pause_s())


def _told_pause_s(error: EverlogError) -> float:
    """How long the gateway itself asked to stay away; 0 where only the connection broke."""
    return error.retry_after_s if isinstance(error, UnavailableError) and error.__cause__ is None else 0.0


async def _connection(link: Link, session: str, after: int) -> AsyncGenerator[TimelineEvent | DeltaFrame]:
    """What one connection brings, in order and once."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after), "Cache-Control": "no-store"}
    async with link.stream(f"/v1/sessions/{session}/stream", {}, headers) as lines:
        async for frame in frames(lines):
            if frame.name == DELTA:
                yield DeltaFrame.model_validate_json(frame.data)
            if frame.name != EVENT:
                continue
            event = TimelineEvent.model_validate_json(frame.data)
            if event.version <= after:
                continue
            if event.version != after + 1:
                missing = f"version {after + 1} is missing before {event.version}"
                raise UnavailableError("the stream", missing, retry_after_s=0.0)
            after = event.version
            yield event


def inner_events(event: TimelineEvent) -> list[tuple[str, dict[str, Any]]]:
    """(type, data) of what an event holds: of itself, or of each event of a batch."""
    if event.type == BATCH_TYPE:
        return [(inner["type"], inner["data"]) for inner in event.data["events"]]
    return [(event.type, event.data)]
