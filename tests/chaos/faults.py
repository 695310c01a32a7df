"""Carrying faults out, each at its time, and ending all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from chaos import views
from chaos.schedule import Fault, Kind
from chaos.servers import Log, Servers
from chaos.workers import Workers
from support.fault_proxy import FaultProxy, Way

CUT_BYTES_MAX: Final = 20_000
"""A connection is cut after up to so many bytes: some requests later, mostly within one."""
LATENCY_MAX_S: Final = 0.15
MIDST_S: Final = 0.25
"""MongoDB keeps silent for so long before workers are stopped: then each is in the midst of a batch, as hardly ever."""


class Chaos:
    """What can be broken, and how."""

    def __init__(self, log: Log, workers: Workers, proxies: dict[str, FaultProxy]) -> None:
        self._servers: Servers = log.servers
        self._mongo = log.settings(proxied=False).mongo
        self._workers, self._proxies = workers, proxies
        self._down: set[str] = set()
        self._spoiled: set[str] = set()
        """Servers whose network is spoilt now."""
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

    @asynccontextmanager
    async def in_the_calm(self, kind: Kind) -> AsyncIterator[None]:
        """Break Redis or the views behind the body, back to how they were before it.

        Nobody writes any more, so no next event finds it out: the workers have to look by themselves.
        """
        await self._servers.copy_redis()
        copy = await views.quiet_copy(self._mongo)
        yield
        if kind in (Kind.REDIS_EMPTIED, Kind.REDIS_ROLLED_BACK):
            is_empty = kind is Kind.REDIS_EMPTIED
            await self._replace_redis(self._servers.empty_redis if is_empty else self._servers.put_back_redis)
        else:
            async with self._workers.frozen():
                put_back = copy if kind is Kind.VIEWS_ROLLED_BACK else {}
                await views.put_back(self._mongo, put_back, self._proxies["mongo"].reset)

    async def _replace_redis(self, change_data: Callable[[], Awaitable[None]]) -> None:
        """As in a failover: who was writing waits, tries again, and sees no error."""
        async with self._silent("redis"):
            await self._kill("redis")
            await change_data()
            await self._restart("redis")

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

    @asynccontextmanager
    async def _silent(self, name: str) -> AsyncIterator[None]:
        """While a server does not answer, and nothing is lost; unless its network is spoilt anyway."""
        proxy = self._proxies[name]
        if name not in self._spoiled:
            proxy.stall()
        try:
            yield
        finally:
            if name not in self._spoiled:
                await proxy.heal()

    @asynccontextmanager
    async def _in_the_midst(self) -> AsyncIterator[None]:
        """While workers wait for an answer of MongoDB in the midst of their batches."""
        async with self._silent("mongo"):
            await asyncio.sleep(MIDST_S)
            yield

    async def _kill_worker(self, fault: Fault) -> None:
        async with self._in_the_midst():
            self._workers.by_name[fault.target].kill()

    async def _freeze_worker(self, fault: Fault) -> None:
        worker = self._workers.by_name[fault.target]
        async with self._in_the_midst():
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
        await self._replace_redis(self._servers.put_back_redis)

    async def _kill_mongo(self, fault: Fault) -> None:
        await self._kill("mongo")
        await asyncio.sleep(fault.lasts_s)
        await self._restart("mongo")

    @asynccontextmanager
    async def _frozen(self, fault: Fault) -> AsyncIterator[Callable[[], None]]:
        """While all workers are stopped in the midst of their batches; gives what ends their reads.

        What they have sent to MongoDB comes before the body or, by chance, after it.
        """
        is_late = fault.chance < 0.5

        def end_reads() -> None:
            """Reset connections to MongoDB, unless a proxy holds back what is on them until all is over."""
            if not is_late or "mongo" in self._spoiled:
                self._proxies["mongo"].reset()

        async with AsyncExitStack() as stack:
            async with self._in_the_midst():
                await stack.enter_async_context(self._workers.frozen())
                if is_late:
                    yield end_reads
            if not is_late:
                yield end_reads

    async def _empty_views(self, fault: Fault) -> None:
        async with self._frozen(fault) as end_reads:
            await views.drop(self._mongo, end_reads)

    async def _roll_views_back(self, fault: Fault) -> None:
        async with self._workers.frozen():
            copy = await views.quiet_copy(self._mongo)
        await asyncio.sleep(fault.lasts_s)
        async with self._frozen(fault) as end_reads:
            await views.put_back(self._mongo, copy, end_reads)

    async def _spoil_network(self, fault: Fault) -> None:
        proxy = self._proxies[fault.target]
        self._spoiled.add(fault.target)
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
        self._spoiled.discard(fault.target)
        await proxy.heal()
