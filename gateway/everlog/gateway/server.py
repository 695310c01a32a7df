"""Serving the app with uvicorn inside a loop of the caller's, and ending without dropping a request.

On SIGTERM or SIGINT: (1) ``/readyz`` says no, so that nobody sends new requests; (2) after a pause the door closes,
and streams end; (3) running requests end, at most ``drain_timeout_s``; (4) the background work stops, and ``serve``
returns.
"""

from __future__ import annotations

import asyncio
import math
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from everlog.gateway.services import Services
from everlog.gateway.settings import GatewaySettings

KEEP_ALIVE_S = 75
"""Longer than the 60 s of usual proxies, so that they close idle connections and not we."""
BACKLOG = 2048


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: it would end the process by the signal instead of returning."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: FastAPI, settings: GatewaySettings, *, stop: asyncio.Event | None = None, listener: socket.socket | None = None
) -> None:
    """Serve until SIGTERM, SIGINT or ``stop``; returns after draining.

    ``listener`` is a bound socket to listen on instead of the settings' address. Raises ``OSError`` when the address
    is taken. Runs fastest in uvloop: ``uvloop.run(serve(...))``.
    """
    stopping = stop or asyncio.Event()
    listening = listener or _bind(settings)
    # Connections inherit it. asyncio sets it only where the socket names its protocol, which create_server's does not;
    # without it an answer in two writes waits 40 ms for the client's delayed acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(settings.drain_timeout_s),
    )
    server = _Server(config)
    services: Services = app.state.services
    with _stopped_by_signals(stopping):
        serving = asyncio.create_task(server.serve([listening]))
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not serving.done():
            services.health.is_draining = True
            await asyncio.sleep(settings.drain_pause_s)
            services.streams.end()
            server.should_exit = True
        await serving


def _bind(settings: GatewaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)


@contextmanager
def _stopped_by_signals(stopping: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
