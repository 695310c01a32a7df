"""A log of a test's own on the real services, with a projector and a gateway as processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from everlog.gateway.keys import KeyPair, issue_token, new_key_pair
from everlog.local.ports import HOST, Ports
from everlog.local.stack import Addresses
from support.deployment import variables_of
from support.waiting import until

READY_S = 60.0
CALL_S = 60.0


@dataclass(frozen=True)
class Served:
    """What runs, and how to get in."""

    port: int
    keys: KeyPair
    projector: asyncio.subprocess.Process
    gateway: asyncio.subprocess.Process

    def token(self, principal: str, role: str = "editor") -> str:
        """A token that the gateway takes."""
        return issue_token(
            self.keys.private, tenant="acme", principal=principal, role=role, ttl_s=3600, now=int(time.time()), jti="t"
        )

    def client(self, principal: str, *, port: int | None = None, role: str = "editor") -> httpx.AsyncClient:
        """A principal's HTTP client, with connections of its own; through another ``port`` if a proxy is between."""
        return httpx.AsyncClient(
            base_url=f"http://{HOST}:{port or self.port}/v1",
            headers={"Authorization": f"Bearer {self.token(principal, role)}"},
            timeout=CALL_S,
        )


@asynccontextmanager
async def served(services: Addresses, directory: Path, **settings: object) -> AsyncIterator[Served]:
    """Both processes, until the body ends; ``settings`` as in ``GATEWAY__VERDICT_TIMEOUT_S=1``."""
    keys, port = new_key_pair(), Ports.free().gateway
    (directory / "public.pem").write_bytes(keys.public)
    variables = {
        **os.environ,
        **variables_of(services, f"served-{uuid.uuid4().hex[:8]}", partitions=4),
        "EVERLOG_GATEWAY__PUBLIC_KEY_PATH": str(directory / "public.pem"),
        "EVERLOG_GATEWAY__PORT": str(port),
        "EVERLOG_PROJECTOR__METRICS_PORT": str(Ports.free().projector),
        **{f"EVERLOG_{name}": str(value) for name, value in settings.items()},
    }
    await _init(variables)
    async with (
        _process(directory, "projector", variables) as projector,
        _process(directory, "gateway", variables) as door,
    ):
        running = Served(port, keys, projector, door)
        await until(lambda: _is_ready(port), timeout_s=READY_S, what="a gateway that is ready")
        yield running


async def _init(variables: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "everlog.cli", "init", env=variables)
    assert await process.wait() == 0


async def _is_ready(port: int) -> bool:
    try:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://{HOST}:{port}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


@asynccontextmanager
async def _process(
    directory: Path, service: str, variables: dict[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    with (directory / f"{service}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "everlog.cli", service,
            env=variables, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
                await process.wait()


def message(text: str = "Hello") -> dict[str, Any]:
    """A message to append."""
    return {"type": "message.appended", "data": {"role": "user", "parts": [{"type": "text", "text": text}]}}


async def timeline(door: httpx.AsyncClient, session: str, version: int) -> list[dict[str, Any]]:
    """All events of a session, which has this version."""
    await door.get(f"/sessions/{session}", params={"min_version": version})
    events: list[dict[str, Any]] = []
    after = 0
    while True:
        answer = await door.get(f"/sessions/{session}/events", params={"limit": 1000, "after": after})
        assert answer.status_code == 200, answer.text
        events += answer.json()["events"]
        if answer.json()["next"] is None:
            return events
        after = int(answer.json()["next"])
