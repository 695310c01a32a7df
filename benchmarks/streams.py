"""Streams: thousands of sessions that somebody follows, and appends to them all the time.

Every reader must see every version of its session once and in order, also over a connection that is broken on purpose
in the middle; and the gateway's memory must not grow. Figures by environment: ``STREAMS_READERS`` (2000),
``STREAMS_SECONDS`` (120), ``STREAMS_APPENDS_PER_S`` (200).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import orjson

WRITERS: Final = 48
PRINCIPALS: Final = 8
"""Readers and writers are spread over so many: one has a bounded share of the gateway."""
CATCH_UP_S: Final = 120.0
OPENING_AT_ONCE: Final = 50
PAUSE_S: Final = 0.1
"""Before who was broken off, or refused, comes again: all readers at once are more than the gateway serves at once."""
_METRIC: Final = "process_resident_memory_bytes"


@dataclass
class Tally:
    """What the readers saw."""

    frames: int = 0
    duplicates: int = 0
    gaps: int = 0
    connections: int = 0
    delays_s: list[float] = field(default_factory=list)
    """From the request of an append to its frame at a reader."""
    marks: dict[tuple[str, int], float] = field(default_factory=dict)
    """When a version was sent or seen, whichever was known first; the other one takes it out."""

    def mark(self, session: str, version: int, at_s: float) -> None:
        """A version was sent, or seen, at a time."""
        other_s = self.marks.pop((session, version), None)
        if other_s is None:
            self.marks[session, version] = at_s
        else:
            self.delays_s.append(abs(at_s - other_s))


class Reader:
    """Follows one session over a bare socket; ``version`` is the last that it saw."""

    def __init__(self, url: str, session: str, token: str, tally: Tally) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self.session, self._token, self._tally = session, token, tally
        self.version = 1
        self.is_connected = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Read until cancelled; come again whenever the connection ends."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._read()
            self.is_connected.clear()
            await asyncio.sleep(PAUSE_S)

    def break_off(self) -> None:
        """Lose the connection, as networks do."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def _read(self) -> None:
        reader, self._writer = await asyncio.open_connection(self._host, self._port)
        try:
            self._writer.write(
                f"GET /v1/sessions/{self.session}/stream HTTP/1.1\r\nHost: {self._host}\r\n"
                f"Authorization: Bearer {self._token}\r\nLast-Event-ID: {self.version}\r\n\r\n".encode()
            )
            status = await reader.readline()
            if b" 200 " not in status:
                return
            while await reader.readline() not in {b"\r\n", b""}:
                pass
            self._tally.connections += 1
            self.is_connected.set()
            buffered = b""
            while size := int(await reader.readline() or b"0", 16):
                buffered += (await reader.readexactly(size + 2))[:-2]
                *frames, buffered = buffered.split(b"\n\n")
                for frame in frames:
                    self._see(frame)
        finally:
            self._writer.close()

    def _see(self, frame: bytes) -> None:
        if not frame.startswith(b"id: "):
            return
        version = int(frame[4 : frame.index(b"\n")])
        self._tally.frames += 1
        if version <= self.version:
            self._tally.duplicates += 1
        elif version != self.version + 1:
            self._tally.gaps += 1
        self._tally.mark(self.session, version, time.perf_counter())
        self.version = max(self.version, version)


@dataclass(frozen=True)
class Load:
    """How much is done: readers, each of a session of its own; for how long; appends a second."""

    readers: int
    seconds: float
    appends_per_s: float


async def run(url: str, token_of: Callable[[str], str], load: Load, prefix: str) -> dict[str, float]:
    """Put the load on a gateway; figures. Raises ``AssertionError`` when a reader missed a version or saw one twice.

    ``token_of`` gives the token of a principal; sessions are called ``<prefix>-<number>``.
    """
    tally = Tally()
    tokens = [token_of(f"reader-{number}") for number in range(PRINCIPALS)]
    sessions = [f"{prefix}-{number}" for number in range(load.readers)]
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        doors = _Writers(url, tokens, tally)
        await doors.create(sessions)
        readers = [Reader(url, session, tokens[at % PRINCIPALS], tally) for at, session in enumerate(sessions)]
        tasks = await _open(readers)
        try:
            before = await _resident(client)
            begun_s = time.perf_counter()
            half = load.seconds / 2
            await doors.append_for(sessions, half, load.appends_per_s)
            middle = await _resident(client)
            for reader in readers:
                reader.break_off()
            await doors.append_for(sessions, half, load.appends_per_s)
            seconds = time.perf_counter() - begun_s
            await _caught_up(readers, doors.versions)
            after = await _resident(client)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    appended = sum(doors.versions.values()) - len(sessions)
    assert (tally.duplicates, tally.gaps, tally.frames) == (0, 0, appended), (tally.duplicates, tally.gaps, appended)
    delays = sorted(tally.delays_s)
    return {
        "readers": load.readers,
        "seconds": round(seconds, 1),
        "appends": appended,
        "appends_per_s": round(appended / seconds, 1),
        "frames": tally.frames,
        "duplicates": tally.duplicates,
        "gaps": tally.gaps,
        "connections": tally.connections,
        "delay_p50_ms": round(1000 * delays[len(delays) // 2], 1) if delays else 0.0,
        "delay_p99_ms": round(1000 * delays[len(delays) * 99 // 100], 1) if delays else 0.0,
        "rss_before_mb": before,
        "rss_middle_mb": middle,
        "rss_after_mb": after,
    }


class _Writers:
    """Connections that write to sessions, each one request at a time, all together at a rate at most.

    Bare sockets: an HTTP library would cost as much as the gateway.
    """

    def __init__(self, url: str, tokens: list[str], tally: Tally) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._tokens, self._tally = tokens, tally
        self.versions: dict[str, int] = {}
        self._drawn = random.Random(7)

    async def create(self, sessions: list[str]) -> None:
        """Create sessions, each owned by the principal that writes to it."""
        left = iter(enumerate(sessions))

        async def work(door: _Connection) -> None:
            for at, session in left:
                await door.post("/v1/sessions", {"id": session}, self._tokens[at % PRINCIPALS])
                self.versions[session] = 1

        await self._all(work)

    async def append_for(self, sessions: list[str], seconds: float, per_s: float) -> None:
        """Append at a rate, or as fast as it goes where that is slower."""
        loop = asyncio.get_running_loop()
        begun_s, started = loop.time(), 0

        async def work(door: _Connection) -> None:
            nonlocal started
            while (due_s := started / per_s) < seconds and loop.time() - begun_s < seconds:
                started += 1
                await asyncio.sleep(max(0.0, begun_s + due_s - loop.time()))
                await self._append(door, self._drawn.randrange(len(sessions)), sessions)

        await self._all(work)

    async def _append(self, door: _Connection, at: int, sessions: list[str]) -> None:
        session = sessions[at]
        data = {"role": "user", "parts": [{"type": "text", "text": f"word {at}"}]}
        body = {"type": "message.appended", "data": data}
        begun_s = time.perf_counter()
        told = await door.post(f"/v1/sessions/{session}/events", body, self._tokens[at % PRINCIPALS])
        if told["version"] is not None:
            self._tally.mark(session, told["version"], begun_s)
        self.versions[session] += 1

    async def _all(self, work: Callable[[_Connection], Coroutine[Any, Any, None]]) -> None:
        async def one() -> None:
            door = await _Connection.open(self._host, self._port)
            try:
                await work(door)
            finally:
                door.close()

        await asyncio.gather(*(one() for _ in range(WRITERS)))


class _Connection:
    """A connection that is kept alive."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host, self._reader, self._writer = host, reader, writer

    @classmethod
    async def open(cls, host: str, port: int) -> _Connection:
        return cls(host, *await asyncio.open_connection(host, port))

    async def post(self, path: str, body: dict[str, Any], token: str) -> dict[str, Any]:
        """Post until there is an answer that is no refusal for too many requests at once: that one did nothing.

        Raises ``AssertionError`` for a problem.
        """
        while True:
            status, answer = await self._post(path, body, token)
            if status != 503:
                assert status in {200, 201, 202}, answer
                return answer
            await asyncio.sleep(PAUSE_S)

    async def _post(self, path: str, body: dict[str, Any], token: str) -> tuple[int, dict[str, Any]]:
        content = orjson.dumps(body)
        self._writer.write(
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        status, length = await self._reader.readline(), 0
        while (line := await self._reader.readline()) not in {b"\r\n", b""}:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return int(status.split()[1]), orjson.loads(await self._reader.readexactly(length))

    def close(self) -> None:
        self._writer.close()


async def _open(readers: list[Reader]) -> list[asyncio.Task[None]]:
    tasks = []
    for first in range(0, len(readers), OPENING_AT_ONCE):
        some = readers[first : first + OPENING_AT_ONCE]
        tasks += [asyncio.create_task(reader.run()) for reader in some]
        async with asyncio.timeout(CATCH_UP_S):
            await asyncio.gather(*(reader.is_connected.wait() for reader in some))
    return tasks


async def _caught_up(readers: list[Reader], versions: dict[str, int]) -> None:
    deadline_s = time.monotonic() + CATCH_UP_S
    while behind := [reader for reader in readers if reader.version < versions[reader.session]]:
        assert time.monotonic() < deadline_s, f"{len(behind)} readers are still behind"
        await asyncio.sleep(0.1)


async def _resident(client: httpx.AsyncClient) -> float:
    """Resident memory of the gateway, MiB."""
    for line in (await client.get("/metrics")).text.splitlines():
        if line.startswith(_METRIC + " "):
            return round(float(line.split()[1]) / 2**20, 1)
    return 0.0


def measure() -> dict[str, float]:
    """The benchmark on real services of its own."""
    from everlog.cli.demo.stage import open_stage
    from everlog.cli.tokens import local_token

    load = Load(
        int(os.environ.get("STREAMS_READERS", "2000")),
        float(os.environ.get("STREAMS_SECONDS", "120")),
        float(os.environ.get("STREAMS_APPENDS_PER_S", "200")),
    )
    with tempfile.TemporaryDirectory() as directory, open_stage(Path(directory) / "stage") as stage:
        print(f"{load.readers} readers, {load.appends_per_s:g} appends/s for {load.seconds:g} s", file=sys.stderr)
        return asyncio.run(run(stage.gateway_url, lambda principal: local_token(principal=principal), load, "s"))
