"""Signs of life of leaseholders in Redis.

Keys: ``everlog:{tenant/session}:lease:<participant>:<epoch>`` holds the time to live in seconds, for so long; of no
generation and no hot epoch, for a swap must not let leases lapse. ``everlog:leases:{<shard>}`` are sorted sets of all
known leases by the time at which they lapse, so that lapsed ones are found without looking at every session; their
clock is the server's. ``everlog:leases:mark`` is a random mark that is missing when the server was emptied.
Each command touches one key, or keys of one hash tag: Redis Cluster works.
"""

from __future__ import annotations

import secrets
import zlib
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from everlog.adapters.redis.connection import translated
from everlog.ports.heartbeats import LAPSED_MAX, Alive, Counts, Lease

SHARDS: Final = 16
"""Sorted sets: enough to spread a million leases over the nodes of a cluster, few enough to ask each."""
_PREFIX: Final = "everlog"
_lease_decoder: Final = msgspec.json.Decoder(tuple[str, str, int])


class RedisHeartbeats:
    """``Heartbeats`` over a client of the caller's. ``prefix`` begins every key."""

    def __init__(self, client: Redis, *, prefix: str = _PREFIX) -> None:
        self._client, self._prefix = client, prefix

    async def beat(self, lease: Lease, ttl_s: int) -> None:
        """The holder is alive. Raises ``UnavailableError``."""
        with translated("noting a sign of life"):
            lapses_ms = await self._now_ms() + ttl_s * 1000
            pipeline = self._client.pipeline(transaction=False)
            pipeline.set(self._key(lease), ttl_s, ex=ttl_s)
            pipeline.zadd(self._shard(_shard_of(lease)), {_member(lease): lapses_ms})
            await pipeline.execute()

    async def look(self, lease: Lease) -> Alive | None:
        """How long the holder is still taken for alive. Raises ``UnavailableError``."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.get(self._key(lease))
        pipeline.pttl(self._key(lease))
        with translated("looking for a sign of life"):
            ttl_s, left_ms = await pipeline.execute()
        return Alive(int(ttl_s), left_ms / 1000) if ttl_s is not None and left_ms > 0 else None

    async def forget(self, lease: Lease) -> None:
        """The lease is held no longer. Raises ``UnavailableError``."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.unlink(self._key(lease))
        pipeline.zrem(self._shard(_shard_of(lease)), _member(lease))
        with translated("forgetting a lease"):
            await pipeline.execute()

    async def lapsed(self, for_s: float) -> list[Lease]:
        """Leases that lapsed at least so long ago, the oldest of each shard first. Raises ``UnavailableError``."""
        with translated("looking for lapsed leases"):
            before_ms = await self._now_ms() - round(for_s * 1000)
            pipeline = self._client.pipeline(transaction=False)
            for shard in range(SHARDS):
                pipeline.zrange(self._shard(shard), "-inf", before_ms, byscore=True, offset=0, num=LAPSED_MAX // SHARDS)
            found: list[list[bytes]] = await pipeline.execute()
        return [Lease(*_lease_decoder.decode(member)) for members in found for member in members]

    async def counts(self) -> Counts:
        """How many leases are known. Raises ``UnavailableError``."""
        with translated("counting leases"):
            now_ms = await self._now_ms()
            pipeline = self._client.pipeline(transaction=False)
            for shard in range(SHARDS):
                pipeline.zcard(self._shard(shard))
                pipeline.zcount(self._shard(shard), "-inf", now_ms)
            numbers: list[int] = await pipeline.execute()
        known, lapsed = sum(numbers[::2]), sum(numbers[1::2])
        return Counts(known - lapsed, lapsed)

    async def take_turn(self, name: str, for_s: float) -> bool:
        """Whether the caller is the first to ask for this turn. Raises ``UnavailableError``."""
        with translated("taking a turn"):
            return bool(await self._client.set(f"{self._prefix}:turn:{name}", 1, nx=True, px=round(for_s * 1000)))

    async def incarnation(self) -> str:
        """The server's run id and the mark that it keeps. Raises ``UnavailableError``."""
        mark = f"{self._prefix}:leases:mark"
        with translated("asking for the run id"):
            server: dict[str, Any] = await self._client.info("server")
            await self._client.set(mark, secrets.token_hex(8), nx=True)
            kept: Any = await self._client.get(mark)
        return f"{server['run_id']}/{(kept or b'').decode()}"

    async def _now_ms(self) -> int:
        seconds, microseconds = await self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def _key(self, lease: Lease) -> str:
        return f"{self._prefix}:{{{lease.key}}}:lease:{lease.participant}:{lease.epoch}"

    def _shard(self, number: int) -> str:
        return f"{self._prefix}:leases:{{{number}}}"


def _shard_of(lease: Lease) -> int:
    return zlib.crc32(lease.key.encode()) % SHARDS


def _member(lease: Lease) -> bytes:
    return msgspec.json.encode(tuple(lease))
