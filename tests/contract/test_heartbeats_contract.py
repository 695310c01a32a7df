"""What every keeper of heartbeats must do: the one in memory, and Redis."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable

import pytest
from redis.asyncio import Redis

from everlog.adapters.memory.heartbeats import MemoryHeartbeats
from everlog.adapters.redis import RedisHeartbeats
from everlog.adapters.redis.connection import connect
from everlog.local.stack import Addresses
from everlog.ports.heartbeats import LAPSED_MAX, Counts, Heartbeats, Lease
from everlog.runtime.config import RedisSettings
from everlog.schemas.errors import UnavailableError
from support.waiting import until

LEASE = Lease("acme/rome-42", "planner", 7)


class HeartbeatsContract:
    """Subclasses give the fixture ``heartbeats``, empty."""

    async def test_nobody_is_alive_who_gave_no_sign(self, heartbeats: Heartbeats) -> None:
        assert await heartbeats.look(LEASE) is None
        assert await heartbeats.lapsed(0) == []
        assert await heartbeats.counts() == Counts(0, 0)

    async def test_a_beat_keeps_this_lease_alive_and_no_other(self, heartbeats: Heartbeats) -> None:
        await heartbeats.beat(LEASE, 30)
        alive = await heartbeats.look(LEASE)
        assert alive is not None and alive.ttl_s == 30 and 25 < alive.left_s <= 30
        for other in (LEASE._replace(epoch=8), LEASE._replace(participant="critic"), LEASE._replace(key="acme/bari")):
            assert await heartbeats.look(other) is None
        assert await heartbeats.counts() == Counts(1, 0)
        assert await heartbeats.lapsed(0) == []

    async def test_silence_lets_a_lease_lapse_and_a_beat_brings_it_back(self, heartbeats: Heartbeats) -> None:
        await heartbeats.beat(LEASE, 1)
        await until(lambda: _is(heartbeats.look(LEASE), None))
        await until(lambda: _is(heartbeats.lapsed(0), [LEASE]))
        assert await heartbeats.counts() == Counts(0, 1)
        assert await heartbeats.lapsed(3600) == []
        await heartbeats.beat(LEASE, 30)
        assert await heartbeats.look(LEASE) is not None
        assert (await heartbeats.lapsed(0), await heartbeats.counts()) == ([], Counts(1, 0))

    async def test_a_beat_gives_the_whole_time_again(self, heartbeats: Heartbeats) -> None:
        await heartbeats.beat(LEASE, 2)
        await heartbeats.beat(LEASE, 60)
        alive = await heartbeats.look(LEASE)
        assert alive is not None and alive.ttl_s == 60 and alive.left_s > 50

    async def test_what_is_forgotten_neither_lives_nor_lapses(self, heartbeats: Heartbeats) -> None:
        await heartbeats.beat(LEASE, 30)
        await heartbeats.forget(LEASE)
        await heartbeats.forget(LEASE)
        assert await heartbeats.look(LEASE) is None
        assert await heartbeats.counts() == Counts(0, 0)

    async def test_lapsed_leases_are_given_in_bounded_numbers(self, heartbeats: Heartbeats) -> None:
        leases = [Lease(f"acme/s{number}", "p.1:2@x", number) for number in range(LAPSED_MAX + 100)]
        await asyncio.gather(*(heartbeats.beat(lease, 1) for lease in leases))
        await until(lambda: _is(heartbeats.counts(), Counts(0, len(leases))))
        seen: set[Lease] = set()
        while lapsed := await heartbeats.lapsed(0):
            assert len(lapsed) <= LAPSED_MAX
            for lease in lapsed:
                await heartbeats.forget(lease)
            seen |= set(lapsed)
        assert seen == set(leases)

    async def test_a_turn_is_taken_by_one_until_it_is_over(self, heartbeats: Heartbeats) -> None:
        assert await heartbeats.take_turn("sweep", 0.5)
        assert not await heartbeats.take_turn("sweep", 0.5)
        assert await heartbeats.take_turn("other", 30)
        await until(lambda: heartbeats.take_turn("sweep", 30))

    async def test_its_incarnation_stays(self, heartbeats: Heartbeats) -> None:
        incarnation = await heartbeats.incarnation()
        await heartbeats.beat(LEASE, 30)
        assert incarnation and await heartbeats.incarnation() == incarnation


async def _is(found: Awaitable[object], expected: object) -> bool:
    return await found == expected


class TestMemory(HeartbeatsContract):
    @pytest.fixture
    def heartbeats(self) -> Heartbeats:
        return MemoryHeartbeats()

    async def test_a_loss_changes_its_incarnation(self) -> None:
        heartbeats = MemoryHeartbeats()
        before = await heartbeats.incarnation()
        await heartbeats.beat(LEASE, 30)
        heartbeats.lose_everything()
        assert await heartbeats.look(LEASE) is None
        assert await heartbeats.incarnation() != before


@pytest.mark.integration
class TestRedis(HeartbeatsContract):
    @pytest.fixture
    async def client(self, services: Addresses) -> AsyncIterator[Redis]:
        async with connect(RedisSettings(url=services.redis)) as client:
            yield client

    @pytest.fixture
    async def prefix(self, client: Redis) -> AsyncIterator[str]:
        """Keys of this test alone."""
        prefix = f"test-{uuid.uuid4().hex}"
        yield prefix
        keys = [key async for key in client.scan_iter(f"{prefix}:*")]
        if keys:
            await client.unlink(*keys)

    @pytest.fixture
    def heartbeats(self, client: Redis, prefix: str) -> Heartbeats:
        return RedisHeartbeats(client, prefix=prefix)

    async def test_the_key_of_a_lease_is_beside_its_session_and_expires(
        self, heartbeats: RedisHeartbeats, client: Redis, prefix: str
    ) -> None:
        await heartbeats.beat(LEASE, 30)
        key = f"{prefix}:{{acme/rome-42}}:lease:planner:7"
        assert await client.get(key) == b"30"
        assert 25 < await client.ttl(key) <= 30

    async def test_an_emptied_server_is_another_incarnation(
        self, heartbeats: RedisHeartbeats, client: Redis, prefix: str
    ) -> None:
        before = await heartbeats.incarnation()
        await client.unlink(f"{prefix}:leases:mark")  # what FLUSHALL does, to this test's keys only
        assert await heartbeats.incarnation() != before
        assert before.partition("/")[0] == (await client.info("server"))["run_id"]


async def test_without_redis_every_call_says_so(unused_tcp_port: int) -> None:
    async with connect(RedisSettings(url=f"redis://127.0.0.1:{unused_tcp_port}/0", timeout_s=1)) as client:
        heartbeats = RedisHeartbeats(client)
        calls: list[Awaitable[object]] = [
            heartbeats.beat(LEASE, 30),
            heartbeats.look(LEASE),
            heartbeats.forget(LEASE),
            heartbeats.lapsed(0),
            heartbeats.counts(),
            heartbeats.take_turn("sweep", 1),
            heartbeats.incarnation(),
        ]
        for call in calls:
            with pytest.raises(UnavailableError, match="Redis is unavailable"):
                await call
