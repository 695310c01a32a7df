"""Appending: Kafka's own client, the producer with the same settings, and the gateway with its verdict; hot reads.

Events have 600 bytes and are made beforehand. Rates are the best of some rounds: noise only ever slows down. Everything
runs on one machine, so the gateway shares it with Kafka, the projector, the stores and the clients: what the gateway
alone needs is told as CPU time per append.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
from typing import Any, Final

import httpx
import orjson
import uvloop
from aiokafka import AIOKafkaProducer

from benchmarks.projector.events import events
from benchmarks.projector.stage import Stage, open_stage
from benchmarks.wire import Answer, Wire
from everlog.adapters.kafka.connection import client_arguments
from everlog.cli.addresses import ensure_key_pair
from everlog.cli.children import service
from everlog.cli.composition import new_id
from everlog.cli.tokens import local_token
from everlog.local.command_service import CommandService
from everlog.local.ports import HOST
from everlog.local.stack import start_service
from everlog.ports.log import EVENT_HEADERS
from everlog.producers.lane import LINGER_S
from everlog.producers.link import BATCH_BYTES, COMPRESSION
from everlog.producers.producer import Producer
from everlog.runtime.collector import relax_collector
from everlog.runtime.config import KafkaSettings

RECORDS: Final = 60_000
"""To Kafka in one round: some seconds."""
AT_ONCE: Final = 5_000
"""Records that wait for their acknowledgement together."""
ROUNDS: Final = 3
SESSIONS: Final = 64
MANY: Final = 128
"""Connections that ask for as much as there is."""
FEW: Final = 8
"""Connections for latencies: requests that hardly wait for each other."""
SECONDS: Final = 10.0
TEXT: Final = "x" * 235
"""Makes an event of the gateway's 600 bytes long."""


def measure() -> dict[str, float]:
    """The metrics."""
    relax_collector()
    with open_stage() as stage:
        stage.use_log("append")
        ensure_key_pair()
        metrics = uvloop.run(_producers())
        stage.use_log("door")
        gateway = start_service(CommandService(service("gateway", stage.ports, stage.layout.root), stage.layout))
        try:
            with stage.projector():
                return metrics | uvloop.run(_door(stage))
        finally:
            gateway.stop()


async def _producers() -> dict[str, float]:
    """Records a second, acknowledged by all replicas."""
    records = list(islice(events(), RECORDS))
    settings = KafkaSettings.load()
    best = {"raw_aiokafka_per_s": 0.0, "producer_per_s": 0.0}
    raw = AIOKafkaProducer(
        **client_arguments(settings),
        acks="all",
        enable_idempotence=True,
        compression_type=COMPRESSION,
        max_batch_size=BATCH_BYTES,
        linger_ms=int(LINGER_S * 1000),
    )
    async with raw, Producer(settings) as ours:

        async def send(key: str, value: bytes) -> None:
            await (await raw.send(settings.topic_name, value, key.encode(), headers=list(EVENT_HEADERS)))

        async def append(key: str, value: bytes) -> None:
            await ours.append(key, value, EVENT_HEADERS)

        for number in range(ROUNDS):
            for name, sent in (("raw_aiokafka_per_s", send), ("producer_per_s", append)):
                rate = await _rate(sent, records)
                print(f"append: round {number + 1}, {name} {rate:.0f}", file=sys.stderr)
                best[name] = max(best[name], rate)
    return {name: round(rate) for name, rate in best.items()}


async def _rate(send: Callable[[str, bytes], Awaitable[None]], records: Sequence[tuple[str, bytes]]) -> float:
    began_s = time.perf_counter()
    for first in range(0, len(records), AT_ONCE):
        await asyncio.gather(*(send(key, value) for key, value in records[first : first + AT_ONCE]))
    return len(records) / (time.perf_counter() - began_s)


async def _door(stage: Stage) -> dict[str, float]:
    url = f"http://{HOST}:{stage.ports.gateway}"
    paths = [f"/v1/sessions/append-{number}" for number in range(SESSIONS)]
    async with _wires(url, 1) as (wire,):
        for number, path in enumerate(paths):
            writers = [name for name in _NAMES[number::SESSIONS] if name != _NAMES[0]]
            members = [{"participant": name, "principal": name, "kind": "service"} for name in writers]
            creation = {"id": path.rpartition("/")[2], "participants": members}
            _check(await wire.post("/v1/sessions", orjson.dumps(creation)), 201)
    door = _Door(url, paths)
    return {
        **await door.throughput("gateway", keyed=False),
        **await door.throughput("gateway_keyed", keyed=True),
        **await door.latencies("gateway", lambda wire, path: wire.post(f"{path}/events", _event(None)), 201),
        **await door.latencies("hot_read", lambda wire, path: wire.get(path), 200),
    }


_NAMES: Final = [f"mad-{number}" for number in range(MANY)]
"""One writes over each connection: a principal has a bounded share of the gateway. Two of them share a session."""


class _Door:
    """Asks a gateway, and tells how fast it answers."""

    def __init__(self, url: str, paths: Sequence[str]) -> None:
        self._url, self._paths = url, paths

    async def throughput(self, name: str, *, keyed: bool) -> dict[str, float]:
        """Appends a second with their verdicts, and the gateway's CPU time of each, microseconds."""
        ids = [new_id() for _ in range(200_000)] if keyed else []

        async def append(wire: Wire, path: str) -> Answer:
            return await wire.post(f"{path}/events", _event(ids.pop() if keyed else None))

        best, cpu_us = 0.0, 0.0
        for _ in range(ROUNDS):
            cpu_s, began_s = await self._cpu_s(), time.perf_counter()
            count = len(await self._ask(MANY, append, 201))
            rate = count / (time.perf_counter() - began_s)
            spent_us = (await self._cpu_s() - cpu_s) / count * 1e6
            print(f"append: {name} {rate:.0f} a second, {spent_us:.0f} us of CPU each", file=sys.stderr)
            if rate > best:
                best, cpu_us = rate, spent_us
        return {f"{name}_per_s": round(best), f"{name}_cpu_us": round(cpu_us)}

    async def latencies(
        self, name: str, ask: Callable[[Wire, str], Awaitable[Answer]], status: int
    ) -> dict[str, float]:
        """Median and 99th percentile, milliseconds."""
        seconds = sorted(await self._ask(FEW, ask, status))
        return {
            f"{name}_p50_ms": round(seconds[len(seconds) // 2] * 1000, 2),
            f"{name}_p99_ms": round(seconds[len(seconds) * 99 // 100] * 1000, 2),
        }

    async def _ask(self, connections: int, ask: Callable[[Wire, str], Awaitable[Answer]], status: int) -> list[float]:
        """Ask over so many connections for a while; the seconds that each answer took."""
        took_s: list[float] = []
        until_s = time.perf_counter() + SECONDS

        async def keep_asking(number: int, wire: Wire) -> None:
            path = self._paths[number % len(self._paths)]
            while (asked_s := time.perf_counter()) < until_s:
                _check(await ask(wire, path), status)
                took_s.append(time.perf_counter() - asked_s)

        async with _wires(self._url, connections) as wires:
            await asyncio.gather(*(keep_asking(number, wire) for number, wire in enumerate(wires)))
        return took_s

    async def _cpu_s(self) -> float:
        """The gateway's CPU time so far."""
        async with httpx.AsyncClient() as client:
            lines = (await client.get(f"{self._url}/metrics")).text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("process_cpu_seconds_total "))


@asynccontextmanager
async def _wires(url: str, count: int) -> AsyncIterator[list[Wire]]:
    """Connections, each of a principal of its own: one has a bounded share of the gateway."""
    async with AsyncExitStack() as stack:
        tokens = [local_token(principal=name, role="editor") for name in _NAMES[:count]]
        yield [await stack.enter_async_context(Wire(url, token)) for token in tokens]


def _event(event_id: str | None) -> bytes:
    body: dict[str, Any] = {
        "type": "message.appended",
        "data": {"role": "user", "parts": [{"type": "text", "text": TEXT}]},
    }
    return orjson.dumps(body if event_id is None else body | {"id": event_id})


def _check(answer: Answer, status: int) -> None:
    if answer.status != status:
        raise ValueError(f"status {answer.status} instead of {status}: {answer.body[:500]!r}")
