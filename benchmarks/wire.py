"""An HTTP/1.1 client that costs next to nothing: the machine is the gateway's to use."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """Status and body."""

    status: int
    body: bytes


class Wire:
    """One connection that is kept, one request at a time; use it as an async context manager."""

    def __init__(self, url: str, token: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._common = f"Host: {self._host}\r\nAuthorization: Bearer {token}\r\n"

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def get(self, path: str) -> Answer:
        """Read."""
        return await self._call(f"GET {path} HTTP/1.1\r\n{self._common}\r\n".encode())

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a JSON body."""
        content = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return await self._call(f"POST {path} HTTP/1.1\r\n{self._common}{content}\r\n".encode() + body)

    async def _call(self, request: bytes) -> Answer:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        at = lowered.index(b"content-length:") + len(b"content-length:")
        size = int(lowered[at : lowered.index(b"\r\n", at)])
        return Answer(int(head[9:12]), await self._reader.readexactly(size))
