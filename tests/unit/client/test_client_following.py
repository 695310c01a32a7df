"""Following: frames out of lines, resuming by version, no gap, no duplicate."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from everlog.client import Everlog, NotFoundError
from everlog.client.following import Frame, frames
from everlog.schemas.http import PROBLEM_PREFIX


async def read(*lines: str) -> list[Frame]:
    async def stream() -> AsyncIterator[str]:
        for line in lines:
            yield line

    return [frame async for frame in frames(stream())]


async def test_a_frame_ends_at_an_empty_line_and_comments_are_no_frames() -> None:
    assert await read(": ping", "", "id: 7", "event: event", "data: {}", "", "data:a", "data: b", "") == [
        Frame("event", "{}"),
        Frame("message", "a\nb"),
    ]


async def test_a_frame_that_was_cut_off_is_dropped() -> None:
    assert await read("event: event", "data: {}") == []


def frame(version: int) -> str:
    event = {
        "version": version, "event_id": f"e{version}", "type": "com.example.noted", "actor": "ada",
        "recorded_at": "", "time": "", "data": {},
    }  # fmt: skip
    return f"id: {version}\nevent: event\ndata: {json.dumps(event)}\n\n"


class Stream(httpx.AsyncByteStream):
    def __init__(self, text: str, error: Exception | None) -> None:
        self.text, self.error = text, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.text.encode()
        if self.error is not None:
            raise self.error


class Streams(httpx.AsyncBaseTransport):
    """One connection after the other; each is what its position makes of it."""

    def __init__(self, *connections: Callable[[int], httpx.Response]) -> None:
        self.connections, self.positions = list(connections), list[int]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        after = int(request.headers["Last-Event-ID"])
        self.positions.append(after)
        return self.connections.pop(0)(after)


def sends(*versions: int, error: Exception | None = None) -> Callable[[int], httpx.Response]:
    return lambda after: httpx.Response(200, stream=Stream("".join(map(frame, versions)), error))


def fails(status: int, name: str) -> Callable[[int], httpx.Response]:
    body = {"type": PROBLEM_PREFIX + name, "title": "", "status": status, "detail": "", "instance": "", "trace_id": ""}
    return lambda after: httpx.Response(status, json=body, headers={"Retry-After": "0"})


async def follow(streams: Streams, count: int, after: int = 0) -> list[int]:
    seen: list[int] = []
    log = Everlog.connect("http://door", token="t", transport=streams)
    async with log, contextlib.aclosing(log.session("a").follow(after=after)) as events:
        async for event in events:
            seen.append(event.version)
            if len(seen) == count:
                break
    return seen


async def test_a_broken_connection_goes_on_behind_the_last_version() -> None:
    streams = Streams(sends(1, 2, error=httpx.ReadError("reset")), fails(503, "unavailable"), sends(3), sends(4))
    assert await follow(streams, 4) == [1, 2, 3, 4]
    assert streams.positions == [0, 2, 2, 3]


async def test_what_comes_twice_is_given_once() -> None:
    assert await follow(Streams(sends(1, 2), sends(1, 2, 3)), 3) == [1, 2, 3]


async def test_a_missing_version_breaks_the_connection() -> None:
    streams = Streams(sends(1, 3), sends(2, 3))
    assert await follow(streams, 3) == [1, 2, 3]
    assert streams.positions == [0, 1]


async def test_what_trying_again_does_not_mend_is_raised() -> None:
    with pytest.raises(NotFoundError):
        await follow(Streams(fails(404, "not-found")), 1)
