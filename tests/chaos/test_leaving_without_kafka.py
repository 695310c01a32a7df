"""A worker that is told to leave while Kafka does not answer leaves all the same, soon and in good order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chaos.check import ERA, stores_of
from chaos.run import initialise
from chaos.servers import PARTITIONS, Log, Servers
from chaos.workers import Worker
from everlog.domain.record import partition_of
from everlog.producers import Producer
from support.events import KEY, created, said
from support.fault_proxy import FaultProxy
from support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

LEAVES_WITHIN_S = 6.0
"""About 2 s for the worker itself; the rest is for the interpreter on a busy machine. The watchdog needs 20 s."""

BEGINS_WITHIN_S = 60.0

Spoil = Callable[[FaultProxy, Worker], Awaitable[None]]


async def break_connections(kafka: FaultProxy, worker: Worker) -> None:
    """The worker's fetches fail and wait to be tried again."""
    kafka.refuse()
    kafka.reset()
    await until(lambda: "Failed fetch messages" in worker.log.read_text(), timeout_s=10)


async def fall_silent(kafka: FaultProxy, worker: Worker) -> None:
    """Requests are taken and not answered."""
    kafka.stall()


async def keep_failing(kafka: FaultProxy, worker: Worker) -> None:
    """The broker can be reached, and every answer breaks off."""
    kafka.swallow()
    kafka.reset()


@pytest.mark.parametrize("spoil", [break_connections, fall_silent, keep_failing])
async def test_a_worker_leaves_soon_while_kafka_is_away(servers: Servers, tmp_path: Path, spoil: Spoil) -> None:
    log = Log(servers, f"leaving-{spoil.__name__.replace('_', '-')}")
    await asyncio.to_thread(initialise, log, tmp_path)
    settings = log.settings(proxied=False)
    worker = Worker("worker", log.environment(proxied=True), tmp_path)
    async with servers.proxied(1) as proxies, stores_of(settings) as stores, Producer(settings.kafka) as producer:
        worker.wanted = True
        worker.look()
        for value in (created(), said("hello")):
            await producer.append(KEY, value)
        partition = partition_of(KEY.encode(), PARTITIONS)
        await until(lambda: stores.warm.watermark(ERA, partition), timeout_s=BEGINS_WITHIN_S)
        await spoil(proxies["kafka"], worker)
        since_s = time.monotonic()
        await worker.leave()
        assert time.monotonic() - since_s < LEAVES_WITHIN_S
    worker.look()
    assert worker.exits == [0], worker.log.read_text()
