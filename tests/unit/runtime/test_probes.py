"""The probes of a service without a door."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from everlog.local.ports import Ports
from everlog.runtime.probes import serving_probes
from everlog.schemas.errors import ConfigurationError


@pytest.fixture
def port() -> int:
    return Ports.free().projector


async def test_a_live_service_that_is_not_ready_says_why(port: int) -> None:
    reason = "no partitions yet"
    async with serving_probes("127.0.0.1", port, lambda: reason), httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{port}"
        assert (await client.get(f"{url}/livez")).status_code == 200
        answer = await client.get(f"{url}/readyz")
        assert (answer.status_code, answer.text) == (503, "no partitions yet\n")
        reason = ""
        assert (await client.get(f"{url}/readyz?verbose")).status_code == 200
        assert "python_info" in (await client.get(f"{url}/metrics")).text


async def test_anything_else_is_refused_and_hurts_nobody(port: int) -> None:
    async with serving_probes("127.0.0.1", port, lambda: ""), httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{port}"
        assert (await client.get(f"{url}/other")).status_code == 404
        assert (await client.post(f"{url}/livez")).status_code == 405
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x" * 20_000)
        assert await reader.read() == b""
        writer.close()
        assert (await client.get(f"{url}/livez")).status_code == 200


async def test_a_taken_port_is_named(port: int) -> None:
    async with serving_probes("127.0.0.1", port, lambda: ""):
        with pytest.raises(ConfigurationError, match=str(port)):
            async with serving_probes("127.0.0.1", port, lambda: ""):
                pass
