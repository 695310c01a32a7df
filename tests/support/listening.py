"""The gateway over the stores in memory, at an address."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from everlog.client import Everlog
from everlog.client.sync import SyncEverlog
from everlog.gateway.app import create_app
from everlog.gateway.server import serve
from support.door import IDENTITY, World, token


class Listening:
    """A gateway that listens at ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url

    def connect(
        self, *, principal: str = "ada", role: str = "editor", spool: str | os.PathLike[str] | None = None
    ) -> Everlog:
        """A client."""
        return Everlog.connect(self.url, token=token(principal=principal, role=role), spool=spool)

    def connect_sync(self, *, principal: str = "ada", role: str = "editor") -> SyncEverlog:
        """A client for code without ``await``."""
        return Everlog.connect_sync(self.url, token=token(principal=principal, role=role))


@asynccontextmanager
async def listening() -> AsyncIterator[Listening]:
    """A gateway, for as long as the body runs."""
    world = World(drain_pause_s=0.0, drain_timeout_s=2.0)
    await world.control.initialise(IDENTITY)
    stop, listener = asyncio.Event(), socket.create_server(("127.0.0.1", 0))
    app = create_app(world.dependencies())
    projecting = asyncio.create_task(world.keep_projecting())
    serving = asyncio.create_task(serve(app, world.settings, stop=stop, listener=listener))
    try:
        yield Listening(f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        stop.set()
        await serving
        projecting.cancel()
        await asyncio.gather(projecting, return_exceptions=True)
