"""A gateway over the stores in memory as a process: ``python gateway_process.py``; prints its port and a token."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from everlog.gateway.app import create_app
from everlog.gateway.server import serve
from support.door import IDENTITY, World, token


async def main() -> None:
    world = World(drain_pause_s=0.3)
    await world.control.initialise(IDENTITY)
    projecting = asyncio.create_task(world.keep_projecting())
    world.projecting = "--stuck" not in sys.argv
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]} {token()}\n")
    sys.stdout.flush()
    await serve(create_app(world.dependencies()), world.settings, listener=listener)
    projecting.cancel()


uvloop.run(main())
