"""The SDK's suite against the gateway over a socket, with its stores in memory."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from everlog.client import Everlog
from everlog.client.sync import SyncEverlog
from everlog.gateway.app import create_app
from everlog.gateway.server import serve
from support.door import IDENTITY, World, token
from support.sdk_contract import Gateway, SdkContract


class Served:
    """The gateway at an address."""

    def __init__(self, url: str) -> None:
        self.url = url

    def connect(
        self, *, principal: str = "ada", role: str = "editor", spool: str | os.PathLike[str] | None = None
    ) -> Everlog:
        return Everlog.connect(self.url, token=token(principal=principal, role=role), spool=spool)

    def connect_sync(self, *, principal: str = "ada", role: str = "editor") -> SyncEverlog:
        return Everlog.connect_sync(self.url, token=token(principal=principal, role=role))


class TestTheGateway(SdkContract):
    @pytest.fixture
    async def everlog(self) -> AsyncIterator[Gateway]:
        world = World(drain_pause_s=0.0, drain_timeout_s=2.0)
        await world.control.initialise(IDENTITY)
        stop, listener = asyncio.Event(), socket.create_server(("127.0.0.1", 0))
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(world.keep_projecting()),
            asyncio.create_task(serve(create_app(world.dependencies()), world.settings, stop=stop, listener=listener)),
        ]
        try:
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            stop.set()
            await tasks[1]
            tasks[0].cancel()
            await asyncio.gather(tasks[0], return_exceptions=True)
