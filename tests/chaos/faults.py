"""Carrying faults out, each at its time, and ending all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from chaos import views
from chaos.schedule import Fault, Kind
from chaos.servers import Log, Servers
from chaos.workers import Workers
from support.fault_proxy import FaultProxy, Way

CUT_BYTES_MAX: Final = 20_000
"""A connection is cut after up to so many bytes: some requests later, mostly within one."""
LATENCY_MAX_S: Final = 0.15
REDIS_DOWN_S: Final = 0.1
"""A failover's pause: short, so that the writes before it and after it may all succeed."""


class Chaos:
    """What can be broken, and how."""

    def __init__(self, log: Log, workers: Workers, proxies: dict[str, FaultProxy]) -> None:
        self._servers: Servers = log.servers
        self._mongo = log.settings(proxied=False).mongo
        self._workers, self._proxies = workers, proxies
        self._down: set[str] = set()
        self._turns = {"redis": asyncio.Lock(), "mongo": asyncio.Lock()}
        self._ways: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
            Kind.WORKER_KILLED: self._kill_worker,
            Kind.WORKER_FROZEN: self._freeze_worker,
            Kind.WORKER_LEAVES: self._worker_leaves,
            Kind.WORKER_JOINS: self._worker_joins,
            Kind.REDIS_EMPTIED: self._empty_redis,
            Kind.REDIS_ROLLED_BACK: self._roll_redis_back,
            Kind.MONGO_KILLED: self._kill_mongo,
            Kind.VIEWS_EMPTIED: self._empty_views,
            Kind.VIEWS_ROLLED_BACK: self._roll_views_back,
        }

    async def carry_out(self, faults: Sequence[Fault]) -> None:
        """All of them; returns when the last one has ended, and everything is whole."""
        try:
            async with asyncio.TaskGroup() as group:
                for fault in faults:
                    group.create_task(self._at_its_time(fault))
        finally:
            await self._heal()

    async def _at_its_time(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at_s)
        way = self._ways.get(fault.kind)
        if way is None:
            await self._spoil_network(fault)
        elif fault.target in self._turns:
            async with self._turns[fault.target]:
                await way(fault)
        else:
            await way(fault)

    async def _heal(self) -> None:
        for name in sorted(self._down):
            await self._restart(name)
        for proxy in self._proxies.values():
            await proxy.heal()

    async def _kill(self, name: str) -> None:
        self._down.add(name)
        await self._servers.kill(name)

    async def _restart(self, name: str) -> None:
        await self._servers.restart(name)
        self._down.discard(name)

    async def _kill_worker(self, fault: Fault) -> None:
        self._workers.by_name[fault.target].kill()

    async def _freeze_worker(self, fault: Fault) -> None:
        worker = self._workers.by_name[fault.target]
        worker.freeze()
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            worker.thaw()

    async def _worker_leaves(self, fault: Fault) -> None:
        worker = self._workers.by_name[fault.target]
        try:
            await worker.leave()
            await asyncio.sleep(fault.lasts_s)
        finally:
            worker.wanted = True

    async def _worker_joins(self, fault: Fault) -> None:
        worker = self._workers.by_name[fault.target]
        worker.wanted = True
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            await worker.leave()

    async def _empty_redis(self, fault: Fault) -> None:
        await self._kill("redis")
        await self._servers.empty_redis()
        await asyncio.sleep(fault.lasts_s)
        await self._restart("redis")

    async def _roll_redis_back(self, fault: Fault) -> None:
        await self._servers.copy_redis()
        await asyncio.sleep(fault.lasts_s)
        await self._kill("redis")
        await self._servers.put_back_redis()
        await asyncio.sleep(REDIS_DOWN_S)
        await self._restart("redis")

    async def _kill_mongo(self, fault: Fault) -> None:
        await self._kill("mongo")
        await asyncio.sleep(fault.lasts_s)
        await self._restart("mongo")

    async def _empty_views(self, fault: Fault) -> None:
        async with self._workers.frozen():
            await views.drop(self._mongo)

    async def _roll_views_back(self, fault: Fault) -> None:
        async with self._workers.frozen():
            copy = await views.quiet_copy(self._mongo)
        await asyncio.sleep(fault.lasts_s)
        async with self._workers.frozen():
            await views.put_back(self._mongo, copy)

    async def _spoil_network(self, fault: Fault) -> None:
        proxy = self._proxies[fault.target]
        match fault.kind:
            case Kind.STALLED:
                proxy.stall()
            case Kind.SWALLOWED:
                proxy.swallow()
            case Kind.CUT:
                ways = list(Way)
                proxy.cut(ways[int(fault.chance * 1_000) % 2], int(fault.chance * CUT_BYTES_MAX))
            case Kind.REFUSED:
                proxy.refuse()
                proxy.reset()
            case _:
                proxy.delay(fault.chance * LATENCY_MAX_S, fault.chance * LATENCY_MAX_S)
        await asyncio.sleep(fault.lasts_s)
        await proxy.heal()
