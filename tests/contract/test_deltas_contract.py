"""What every channel of deltas must do: the one in memory, and Redis."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from everlog.adapters.memory.deltas import MemoryDeltas
from everlog.adapters.redis.connection import connect
from everlog.adapters.redis.deltas import RedisDeltas
from everlog.local.stack import Addresses
from everlog.ports.deltas import Delta, Deltas, Listening
from everlog.runtime.config import RedisSettings
from everlog.schemas.errors import UnavailableError


async def heard(listening: Listening, deltas: Deltas, key: str) -> list[bytes]:
    """What is heard until a last word, which is said again and again until the subscription stands."""

    async def say() -> None:
        while True:
            await deltas.publish(Delta(key, b"last"))
            await asyncio.sleep(0.02)

    saying = asyncio.create_task(say())
    told: list[bytes] = []
    try:
        async with asyncio.timeout(10):
            async for delta in listening.deltas():
                if delta == Delta(key, b"last"):
                    return told
                told.append(delta.data)
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
    raise AssertionError("it ended")


class DeltasContract:
    """Subclasses give the fixture ``deltas``."""

    @pytest.fixture
    def key(self) -> str:
        return f"acme/{uuid.uuid4()}"

    async def test_what_nobody_follows_is_gone(self, deltas: Deltas, key: str) -> None:
        await deltas.publish(Delta(key, b"lost"))
        async with deltas.listen() as listening:
            await deltas.publish(Delta(key, b"lost"))
            await listening.follow(key)
            assert await heard(listening, deltas, key) == []

    async def test_only_sessions_that_are_followed_are_heard(self, deltas: Deltas, key: str) -> None:
        async with deltas.listen() as listening:
            await listening.follow(key)
            await heard(listening, deltas, key)
            await deltas.publish(Delta(f"{key}-other", b"no"))
            await deltas.publish(Delta(key, b"yes"))
            told = await heard(listening, deltas, key)
            assert [data for data in told if data != b"last"] == [b"yes"]

    async def test_every_listener_hears_a_session(self, deltas: Deltas, key: str) -> None:
        async with deltas.listen() as one, deltas.listen() as other:
            for listening in (one, other):
                await listening.follow(key)
                await heard(listening, deltas, key)

    async def test_what_is_followed_no_more_is_not_heard(self, deltas: Deltas, key: str) -> None:
        async with deltas.listen() as listening:
            await listening.follow(key)
            await heard(listening, deltas, key)
            await listening.unfollow(key)
            await listening.follow(f"{key}-next")
            await heard(listening, deltas, f"{key}-next")
            await deltas.publish(Delta(key, b"no"))
            assert b"no" not in await heard(listening, deltas, f"{key}-next")


class TestMemoryDeltas(DeltasContract):
    @pytest.fixture
    def deltas(self) -> MemoryDeltas:
        return MemoryDeltas()


@pytest.mark.integration
class TestRedisDeltas(DeltasContract):
    @pytest.fixture
    async def deltas(self, services: Addresses) -> AsyncIterator[RedisDeltas]:
        settings = RedisSettings(url=services.redis)
        client = connect(settings)
        yield RedisDeltas(settings, client)
        await client.aclose()


async def test_a_server_that_is_away_is_unavailable(unused_tcp_port: int) -> None:
    settings = RedisSettings(url=f"redis://127.0.0.1:{unused_tcp_port}/0", timeout_s=1)
    client = connect(settings)
    deltas = RedisDeltas(settings, client)
    with pytest.raises(UnavailableError, match="Redis is unavailable"):
        await deltas.publish(Delta("acme/a", b""))
    with pytest.raises(UnavailableError, match="Redis is unavailable"):
        async with deltas.listen():
            pass
    await client.aclose()
