"""The tiny HTTP server of a service without a door: ``/livez``, ``/readyz``, ``/metrics`` on a port of its own.

Answers GET and closes the connection. A service that serves HTTP anyway answers these itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import REGISTRY, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from everlog.schemas.errors import ConfigurationError

REQUEST_BYTES: Final = 8 * 1024
"""A probe's request line and headers."""
REQUEST_TIMEOUT_S: Final = 5.0
_TEXT: Final = "text/plain; charset=utf-8"


@asynccontextmanager
async def serving_probes(host: str, port: int, is_ready: Callable[[], str]) -> AsyncIterator[None]:
    """Serve while the body runs; ``is_ready`` says why the service is not ready, "" when it is.

    Raises ``ConfigurationError`` when the address is taken.
    """
    try:
        server = await asyncio.start_server(
            lambda reader, writer: _answer(reader, writer, is_ready), host, port, limit=REQUEST_BYTES
        )
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="Choose another port for the metrics"
        ) from None
    async with server:
        yield


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_ready: Callable[[], str]) -> None:
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            head = await reader.readuntil(b"\r\n\r\n")
            status, kind, body = _respond(head, is_ready)
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                .encode() + body
            )  # fmt: skip
            await writer.drain()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # whoever asked went away, or asks for something else
    finally:
        writer.close()


def _respond(head: bytes, is_ready: Callable[[], str]) -> tuple[str, str, bytes]:
    method, _, rest = head.partition(b" ")
    if method != b"GET":
        return "405 Method Not Allowed", _TEXT, b"only GET\n"
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if path == b"/metrics":
        return "200 OK", CONTENT_TYPE_LATEST, generate_latest(REGISTRY)
    if path == b"/livez":
        return "200 OK", _TEXT, b"ok\n"
    if path == b"/readyz":
        reason = is_ready()
        return ("503 Service Unavailable", _TEXT, f"{reason}\n".encode()) if reason else ("200 OK", _TEXT, b"ok\n")
    return "404 Not Found", _TEXT, b"there are /livez, /readyz and /metrics\n"
