"""The gateway as a process: it ends on SIGTERM without dropping a request."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

PROCESS = Path(__file__).with_name("gateway_process.py")


@asynccontextmanager
async def running(*flags: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROCESS), *flags, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    port, token = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().split()
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_serves_and_ends_with_0_on_sigterm_saying_so_first() -> None:
    async with running() as (process, client):
        assert (await client.post("/v1/sessions", json={"id": "a"})).status_code == 201
        assert (await client.get("/readyz")).status_code == 200
        process.send_signal(signal.SIGTERM)
        deadline_s = time.monotonic() + 5
        while (answer := await client.get("/readyz")).status_code == 200:
            assert time.monotonic() < deadline_s
        assert (answer.status_code, answer.json()["detail"]) == (503, "draining")
        assert (await client.get("/v1/sessions/a")).status_code == 200
        assert await asyncio.wait_for(process.wait(), 10) == 0
        with pytest.raises(httpx.ConnectError):
            await client.get("/livez")


async def test_a_request_that_runs_at_sigterm_gets_its_answer() -> None:
    async with running("--stuck") as (process, client):
        body = asyncio.create_task(client.post("/v1/sessions", json={"id": "a"}))
        await asyncio.wait({body}, timeout=0.2)
        process.send_signal(signal.SIGTERM)
        assert (await body).status_code == 202
        assert await asyncio.wait_for(process.wait(), 10) == 0
