"""The stage of the demo: real services on free ports in a directory of their own, gone at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from everlog.cli.addresses import ensure_key_pair, environment, settings_tables
from everlog.cli.children import service
from everlog.cli.services import initialise
from everlog.local.command_service import CommandService
from everlog.local.ports import HOST, Ports
from everlog.local.process import Child
from everlog.local.stack import Stack, addresses, start_service


@dataclass(frozen=True)
class Stage:
    """What runs: the gateway's address, and the projector for those who want to restart it."""

    gateway_url: str


@contextlib.contextmanager
def open_stage(directory: Path) -> Iterator[Stage]:
    """Start the stores, initialise them, start projector and gateway; stop and delete all of it at the end.

    Sets the environment of this process to find them. Raises ``UnavailableError`` with the end of the log of what
    did not start.
    """
    ports = Ports.free()
    with contextlib.ExitStack() as closing:
        closing.callback(shutil.rmtree, directory, ignore_errors=True)
        stack = closing.enter_context(Stack(directory, ports))
        os.environ.update(environment(settings_tables(addresses(stack.layout, ports), ports), directory))
        ensure_key_pair()
        initialise()
        for name in ("projector", "gateway"):
            child = start_service(CommandService(service(name, ports, directory), stack.layout))
            closing.callback(Child.stop, child)
        yield Stage(f"http://{HOST}:{ports.gateway}")
