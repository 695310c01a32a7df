"""A TCP proxy that spoils connections when a test says so, between any client and any server.

Every fault holds for the connections that are open and for those that come, until ``heal``:

    delay         every piece arrives later, by a latency and a random part; the order stays
    stall         connections are accepted, nothing is passed on and nothing is lost: ``heal`` lets it through
    swallow       a black hole: what is sent vanishes, so ``heal`` resets the connections that lost something
    cut           a connection is reset once so many bytes went one way
    refuse        nobody listens; open connections go on
    reset         the open connections end now, with a reset (RST), as after a crash of the peer's machine

Chance decides only about delays; it comes from a seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import deque
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from everlog.local.ports import HOST, is_free

PIECE_BYTES: Final = 64 * 1024
"""What is read at once: a socket's usual buffer."""
WAITING_PIECES: Final = 64
"""Pieces of one direction that wait for their time; beyond, the sender is held back as by a full window."""
RETRY_S: Final = 0.05
"""Between two tries to listen again on a port that is taken for a moment."""
_RESET_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends RST and throws away what was not sent."""
_PORTS: Final = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections: none of those takes ours while we refuse."""


class Way(StrEnum):
    """The direction of bytes through the proxy."""

    TO_SERVER = "to_server"
    TO_CLIENT = "to_client"


def free_port(chance: random.Random | None = None) -> int:
    """A port that nothing listens on now, and that no outgoing connection gets."""
    chance = chance or random.SystemRandom()
    while not is_free(port := chance.choice(_PORTS)):
        pass
    return port


class FaultProxy:
    """Listens on ``port`` of this machine and passes everything on to a server; use it as an async context manager."""

    def __init__(self, host: str, server_port: int, *, seed: int = 0, port: int | None = None) -> None:
        self.port = port if port is not None else free_port()
        self.accepted = 0
        """Connections so far."""
        self._server = host, server_port
        self._chance = random.Random(seed)
        self._listener: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._latency_s = self._jitter_s = 0.0
        self._cuts: dict[Way, int] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._swallows = False

    @property
    def address(self) -> str:
        """``host:port`` for clients."""
        return f"{HOST}:{self.port}"

    @property
    def open_connections(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        await asyncio.gather(*(connection.end() for connection in list(self._connections)))

    def delay(self, latency_s: float, jitter_s: float = 0.0) -> None:
        """Pass everything on later: by ``latency_s`` and up to ``jitter_s`` more, each way."""
        self._latency_s, self._jitter_s = latency_s, jitter_s

    def stall(self) -> None:
        """Accept connections and bytes, and answer nothing."""
        self._flowing.clear()

    def swallow(self) -> None:
        """Accept connections, and lose all bytes."""
        self._swallows = True

    def cut(self, way: Way, after_bytes: int) -> None:
        """Reset each connection once it has passed ``after_bytes`` more that way."""
        self._cuts[way] = after_bytes
        for connection in self._connections:
            connection.budgets[way] = after_bytes

    def refuse(self) -> None:
        """Refuse new connections."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def reset(self) -> None:
        """Reset the open connections."""
        for connection in list(self._connections):
            connection.reset()

    async def heal(self) -> None:
        """End every fault."""
        self._latency_s = self._jitter_s = 0.0
        self._cuts.clear()
        self._swallows = False
        for connection in list(self._connections):
            connection.budgets.clear()
            if connection.has_lost_bytes:
                connection.reset()
        self._flowing.set()
        if self._listener is None:
            await self._listen()

    async def _listen(self) -> None:
        while True:
            try:
                self._listener = await asyncio.start_server(self._serve, HOST, self.port, limit=PIECE_BYTES)
            except OSError:
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        connection = _Connection(self, reader, writer)
        self._connections.add(connection)
        try:
            await connection.run(*self._server)
        finally:
            self._connections.discard(connection)

    # What connections ask.

    def due_in_s(self) -> float:
        """When a piece that was read now is passed on."""
        return self._latency_s + (self._chance.uniform(0, self._jitter_s) if self._jitter_s else 0.0)

    @property
    def cuts(self) -> dict[Way, int]:
        """The budgets of a new connection."""
        return dict(self._cuts)

    @property
    def swallows(self) -> bool:
        """Whether bytes vanish."""
        return self._swallows

    async def flowing(self) -> None:
        """Return when bytes may pass."""
        await self._flowing.wait()


class _Connection:
    """A client's connection and the one to the server behind it; both end together."""

    def __init__(self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy, self._client = proxy, (reader, writer)
        self._writers = [writer]
        self._task: asyncio.Task[None] | None = None
        self.budgets = proxy.cuts
        self.has_lost_bytes = False

    async def run(self, host: str, port: int) -> None:
        """Pass bytes on until one side ends, or a fault ends both."""
        self._task = asyncio.current_task()
        try:
            await self._proxy.flowing()  # a stalled server has not accepted anything
            reader, writer = await asyncio.open_connection(host, port, limit=PIECE_BYTES)
            self._writers.append(writer)
            ways = [
                asyncio.create_task(self._pass_on(self._client[0], writer, Way.TO_SERVER)),
                asyncio.create_task(self._pass_on(reader, self._client[1], Way.TO_CLIENT)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            self.reset()  # the server refuses: so do we, as far as an accepted connection can
        except asyncio.CancelledError:
            self.reset()
        finally:
            for writer in self._writers:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    def reset(self) -> None:
        """End both sides with a reset; what was not sent is lost."""
        for writer in self._writers:
            raw = writer.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
            writer.transport.abort()

    async def end(self) -> None:
        """End it, and return when nothing of it is left."""
        task = self._task
        self.reset()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        """One way: read at once, write when it is due."""
        pieces: deque[tuple[float, bytes]] = deque()
        changed = asyncio.Condition()
        reading = asyncio.create_task(self._read(reader, pieces, changed))
        loop = asyncio.get_running_loop()
        try:
            while True:
                async with changed:
                    await changed.wait_for(lambda: pieces)
                    due, piece = pieces.popleft()
                    changed.notify_all()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._proxy.flowing()
                if not piece:
                    return
                if self._proxy.swallows:
                    self.has_lost_bytes = True
                elif not await self._write(writer, piece, way):
                    return
        except OSError:
            return
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(
        self, reader: asyncio.StreamReader, pieces: deque[tuple[float, bytes]], changed: asyncio.Condition
    ) -> None:
        """Take pieces in with the time they are due; an empty one is the end."""
        loop, last_due, piece = asyncio.get_running_loop(), 0.0, b"-"
        while piece:
            try:
                piece = await reader.read(PIECE_BYTES)
            except OSError:
                self.reset()
                piece = b""
            last_due = max(last_due, loop.time() + self._proxy.due_in_s())
            async with changed:
                await changed.wait_for(lambda: len(pieces) < WAITING_PIECES)
                pieces.append((last_due, piece))
                changed.notify_all()

    async def _write(self, writer: asyncio.StreamWriter, piece: bytes, way: Way) -> bool:
        """Whether the connection goes on."""
        budget = self.budgets.get(way)
        if budget is not None:
            piece, self.budgets[way] = piece[:budget], max(0, budget - len(piece))
        writer.write(piece)
        await writer.drain()
        if budget is not None and self.budgets.get(way) == 0:
            self.reset()
            return False
        return True
