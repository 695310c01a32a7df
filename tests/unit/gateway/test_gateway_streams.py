"""Streams: every version once, in order, from wherever it has to be read; and they end when the process does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client import CollectorRegistry

from everlog.adapters.memory.hot import MemoryHotStore
from everlog.domain.stored import TimelineEntry
from everlog.gateway import streams
from everlog.gateway.app import create_app
from everlog.gateway.feeds import SHARED_BYTES, SHARED_FRAMES, Feed
from everlog.gateway.server import serve
from everlog.ports.hot import TAIL_ENTRIES
from everlog.schemas.errors import UnavailableError
from support.door import IDENTITY, World, message, token
from support.events import said, value
from support.waiting import until


@asynccontextmanager
async def listening(world: World, **changes: Any) -> AsyncIterator[tuple[httpx.AsyncClient, asyncio.Event]]:
    """A client of the app on a real socket, and what stops its server."""
    await world.control.initialise(IDENTITY)
    projecting = asyncio.create_task(world.keep_projecting())
    listener, stop = socket.create_server(("127.0.0.1", 0)), asyncio.Event()
    app = create_app(world.dependencies(**changes))
    serving = asyncio.create_task(serve(app, world.settings, stop=stop, listener=listener))
    headers = {"Authorization": f"Bearer {token()}"}
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10, limits=limits) as client:
        yield client, stop
    stop.set()
    await serving
    projecting.cancel()
    await asyncio.gather(projecting, return_exceptions=True)


async def create(client: httpx.AsyncClient, session: str = "rome") -> None:
    assert (await client.post("/v1/sessions", json={"id": session})).status_code == 201


async def append(client: httpx.AsyncClient, count: int = 1, session: str = "rome") -> None:
    for _ in range(count):
        assert (await client.post(f"/v1/sessions/{session}/events", json=message())).status_code == 201


class Reader:
    """A reader of a stream."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.ended = False

    async def frame(self) -> dict[str, Any]:
        """The next frame: its event, its id or None, its data."""
        frame: dict[str, Any] = {"id": None}
        async with asyncio.timeout(10):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if not line and "event" in frame:
                    return frame
                if name in {"event", "id"}:
                    frame[name] = value
                elif name == "data":
                    frame["data"] = orjson.loads(value)
        self.ended = True
        return {}

    async def versions(self, count: int) -> list[int]:
        """The versions of the next frames."""
        frames = [await self.frame() for _ in range(count)]
        assert all(int(frame["id"]) == frame["data"]["version"] for frame in frames)
        return [int(frame["id"]) for frame in frames]


@asynccontextmanager
async def following(
    client: httpx.AsyncClient, after: int | None = None, headers: dict[str, str] | None = None
) -> AsyncIterator[Reader]:
    query = {} if after is None else {"after": after}
    async with client.stream("GET", "/v1/sessions/rome/stream", params=query, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Reader(answer.aiter_lines())


async def test_a_stream_begins_at_the_sessions_version_and_tells_each_once() -> None:
    async with listening(World()) as (client, _):
        await create(client)
        async with following(client) as one, following(client) as other:
            await append(client, 5)
            assert await one.versions(5) == await other.versions(5) == [2, 3, 4, 5, 6]


async def test_a_frame_holds_the_event_as_a_page_does() -> None:
    async with listening(World()) as (client, _):
        await create(client)
        await append(client)
        page = (await client.get("/v1/sessions/rome/events")).json()
        async with following(client, after=0) as reader:
            frames = [await reader.frame() for _ in range(2)]
        assert [frame["data"] for frame in frames] == page["events"]
        assert [(frame["event"], frame["id"]) for frame in frames] == [("event", "1"), ("event", "2")]


@pytest.mark.parametrize("forgotten", ["nothing", "hot", "hot and warm"])
async def test_a_stream_resumes_across_tiers_without_gap_or_duplicate(forgotten: str) -> None:
    world = World()
    async with listening(world) as (client, _):
        await create(client)
        await append(client, 2 * TAIL_ENTRIES)
        if forgotten != "nothing":
            await world.hot.at_epoch(1).drop(["acme/rome"])
        if forgotten == "hot and warm":
            await world.warm.delete_timeline("acme/rome", 1, TAIL_ENTRIES)
        async with following(client, headers={"Last-Event-ID": "3"}) as reader:
            told = await reader.versions(2 * TAIL_ENTRIES - 2)
            await append(client, 3)
            told += await reader.versions(3)
        assert told == list(range(4, 2 * TAIL_ENTRIES + 5))


async def test_many_appends_at_once_are_told_in_order() -> None:
    async with listening(World()) as (client, _):
        await create(client)
        async with following(client) as reader:
            await asyncio.gather(*(append(client, 20) for _ in range(5)))
            assert await reader.versions(100) == list(range(2, 102))


async def test_a_stream_goes_on_where_no_message_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "COMPARE_S", 0.05)
    world = World()
    async with listening(world) as (client, _):
        await create(client)
        world.publishing = False
        async with following(client) as reader:
            await client.post("/v1/sessions/rome/events", json=message(), headers={"Prefer": "respond-async"})
            assert await reader.versions(1) == [2]


class AwayHotStore(MemoryHotStore):
    """A hot store that nobody reaches."""

    async def get(self, key: str) -> Any:
        raise UnavailableError("Redis", "away")

    async def tail(self, key: str, newest: int = TAIL_ENTRIES) -> list[TimelineEntry]:
        raise UnavailableError("Redis", "away")

    def subscribe(self) -> Any:
        raise UnavailableError("Redis", "away")

    def at_epoch(self, epoch: int) -> AwayHotStore:
        return self


async def test_a_stream_goes_on_while_the_hot_store_is_away() -> None:
    world = World()
    world.hot = AwayHotStore(1)
    async with listening(world) as (client, _):
        await create(client)
        async with following(client, after=0) as reader:
            await append(client, 2)
            assert await reader.versions(3) == [1, 2, 3]


async def test_deltas_come_without_an_id_and_are_never_on_the_log() -> None:
    world = World()
    async with listening(world) as (client, _):
        await create(client)
        async with following(client) as reader:
            await until(lambda: world.deltas.is_followed("acme/rome"))
            delta = {"run": "r1", "seq": 0, "text": "Hel"}
            assert (await client.post("/v1/sessions/rome/deltas", json=delta)).status_code == 202
            await append(client)
            first, second = await reader.frame(), await reader.frame()
        assert (first["event"], first["id"], first["data"]) == ("delta", None, {**delta, "participant": "ada"})
        assert second["id"] == "2"
        assert len((await client.get("/v1/sessions/rome/events")).json()["events"]) == 2


async def test_only_who_may_write_tells_deltas() -> None:
    async with listening(World()) as (client, _):
        await create(client)
        delta = {"run": "r1", "seq": 0, "text": "Hel"}
        eve = {"Authorization": f"Bearer {token(principal='eve')}"}
        viewer = {"Authorization": f"Bearer {token(role='viewer')}"}
        answers = [
            await client.post("/v1/sessions/rome/deltas", json=delta, headers=eve),
            await client.post("/v1/sessions/rome/deltas", json=delta, headers=eve | {"Everlog-Participant": "ada"}),
            await client.post("/v1/sessions/rome/deltas", json=delta, headers=viewer),
            await client.post("/v1/sessions/paris/deltas", json=delta),
            await client.post("/v1/sessions/rome/deltas", json=delta | {"text": "x" * 9_000}),
        ]
        assert [answer.status_code for answer in answers] == [403, 403, 403, 404, 422]


async def test_a_stream_of_no_session_or_behind_no_version_is_refused() -> None:
    async with listening(World()) as (client, _):
        await create(client)
        assert (await client.get("/v1/sessions/paris/stream")).status_code == 404
        refused = await client.get("/v1/sessions/rome/stream", headers={"Last-Event-ID": "x"})
        assert refused.status_code == 422 and "Last-Event-ID" in refused.json()["detail"]
        head = await client.head("/v1/sessions/rome/stream")
        assert head.status_code == 405


async def test_streams_are_bounded_counted_and_do_not_count_as_requests() -> None:
    world = World(streams_max=3, principal_streams_max=2, requests_max=1)
    registry = CollectorRegistry()

    async with listening(world, registry=registry) as (client, _):

        def count() -> float | None:
            return registry.get_sample_value("everlog_sse_clients")

        await create(client)
        async with following(client), following(client):
            assert count() == 2
            refused = await client.get("/v1/sessions/rome/stream")
            assert refused.status_code == 429 and refused.headers["Retry-After"] == "1"
            other = {"Authorization": f"Bearer {token(principal='bob')}"}
            async with following(client, headers=other):
                refused = await client.get("/v1/sessions/rome/stream", headers=other)
                assert refused.status_code == 503 and refused.headers["Retry-After"] == "1"
        await until(lambda: not count())
        async with following(client):
            pass


async def test_streams_end_when_the_process_does_and_soon() -> None:
    async with listening(World()) as (client, stop):
        await create(client)
        async with following(client) as reader:
            stop.set()
            assert await reader.frame() == {} and reader.ended


async def test_a_reader_that_takes_nothing_is_cut_off_and_resumes() -> None:
    world = World(stream_send_timeout_s=0.3)
    registry = CollectorRegistry()
    async with listening(world, registry=registry) as (client, _):
        await create(client)
        parts = [{"type": "text", "text": "x" * 200_000}]
        large = {"type": "message.appended", "data": {"role": "user", "parts": parts}}
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port, limit=1024)
        head = f"GET /v1/sessions/rome/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n\r\n"
        writer.write(head.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        appended = 0
        async with asyncio.timeout(60):
            while registry.get_sample_value("everlog_sse_clients"):
                assert (await client.post("/v1/sessions/rome/events", json=large)).status_code == 201
                appended += 1
                await asyncio.sleep(0.02)
        writer.close()
        async with following(client, after=1) as again:
            assert await again.versions(appended) == list(range(2, appended + 2))


def entries(first: int, last: int, size: int = 10) -> list[TimelineEntry]:
    return [TimelineEntry(version, version, 1_000, said("x" * size)) for version in range(first, last + 1)]


def versions(feed: Feed, after: int) -> list[int] | None:
    frames = feed.behind(after)
    return [frame.version for frame in frames] if frames is not None else None


def test_a_feed_shares_nothing_that_was_told_before_a_redaction() -> None:
    feed = Feed("acme/rome")
    feed.add(entries(1, 4))
    redaction = value("message.redacted", {"version": 3})
    feed.add([TimelineEntry(5, 5, 1_000, redaction), *entries(6, 6)])
    assert versions(feed, 4) == [5, 6]
    assert versions(feed, 3) is None


def test_a_feed_gives_what_is_behind_a_version_as_far_as_it_reaches() -> None:
    feed = Feed("acme/rome")
    feed.reach(3)
    feed.add(entries(2, 5))
    assert versions(feed, 3) == [4, 5] and versions(feed, 5) == versions(feed, 9) == []
    assert versions(feed, 2) is None
    feed.add(entries(8, 9))
    assert versions(feed, 7) == [8, 9] and versions(feed, 6) is None
    feed.add(entries(1, 9))
    assert feed.version == 9


def test_a_feed_is_bounded_in_frames_and_bytes() -> None:
    feed = Feed("acme/rome")
    feed.add(entries(1, 2 * SHARED_FRAMES))
    assert versions(feed, SHARED_FRAMES) == list(range(SHARED_FRAMES + 1, 2 * SHARED_FRAMES + 1))
    assert versions(feed, SHARED_FRAMES - 1) is None
    feed.add(entries(2 * SHARED_FRAMES + 1, 2 * SHARED_FRAMES + 1, size=SHARED_BYTES))
    assert versions(feed, 2 * SHARED_FRAMES) is None and versions(feed, 2 * SHARED_FRAMES + 1) == []


def test_a_feed_wakes_whoever_waits() -> None:
    feed = Feed("acme/rome")
    changes: list[Callable[[], None]] = [
        lambda: feed.reach(1),
        lambda: feed.add(entries(2, 2)),
        lambda: feed.tell(b"{}"),
        feed.wake,
    ]
    for change in changes:
        news = feed.news
        change()
        assert news.is_set() and not feed.news.is_set()
    news = feed.news
    feed.reach(1)
    feed.add(entries(1, 2))
    assert not news.is_set()
