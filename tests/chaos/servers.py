"""Real servers of a run's own, each behind a proxy that can spoil its connections."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from chaos.schedule import SERVERS, SESSION_TIMEOUT_S
from everlog.cli.composition import StoreSettings
from everlog.local.ports import HOST, Ports
from everlog.local.settings import Listener, LocalSettings
from everlog.local.stack import Addresses, Stack
from everlog.runtime.config import KafkaSettings, MongoSettings, RedisSettings, S3Settings
from support.fault_proxy import FaultProxy, free_port

PARTITIONS: Final = 4


class Servers:
    """Kafka, Redis, MongoDB and S3, which can be killed, and Redis's data, which can be put back."""

    def __init__(self, directory: Path) -> None:
        ports = Ports.free()
        behind, *proxies = _more_ports(ports, 1 + len(SERVERS))
        self.proxy_ports = dict(zip(SERVERS, proxies, strict=True))
        self._behind = {"kafka": behind, "redis": ports.redis, "mongo": ports.mongo}
        kafka = Listener(port=behind, advertised=f"{HOST}:{self.proxy_ports['kafka']}")
        self._stack = Stack(directory, ports, settings=LocalSettings.load(kafka_behind=kafka))
        self._redis_data = self._stack.layout.data("redis")
        self._redis_copy = directory / "redis-copy"

    def start(self) -> Addresses:
        """Start all; where clients connect that are to see no fault."""
        self.addresses = self._stack.start()
        return self.addresses

    def stop(self) -> None:
        """End all."""
        self._stack.stop()

    async def kill(self, name: str) -> None:
        """End a server as a power cut would."""
        await asyncio.to_thread(self._stack.kill, name)

    async def restart(self, name: str) -> None:
        """Start a server again; returns when it answers."""
        await asyncio.to_thread(self._stack.restart, name)

    async def begin_anew(self) -> None:
        """Forget what is hot of an earlier run: the keys of its sessions are the same."""
        async with Redis.from_url(self.addresses.redis) as client:
            await client.flushall()

    async def empty_redis(self) -> None:
        """Throw the data of a Redis away that does not run."""
        await asyncio.to_thread(shutil.rmtree, self._redis_data)

    async def copy_redis(self) -> None:
        """Copy the data of a running Redis: its append-only file, so as it was a moment ago."""
        await asyncio.to_thread(shutil.rmtree, self._redis_copy, ignore_errors=True)
        await asyncio.to_thread(shutil.copytree, self._redis_data, self._redis_copy)

    async def put_back_redis(self) -> None:
        """Give a Redis that does not run the data of the last copy."""
        await self.empty_redis()
        await asyncio.to_thread(shutil.copytree, self._redis_copy, self._redis_data)

    @asynccontextmanager
    async def proxied(self, seed: int) -> AsyncIterator[dict[str, FaultProxy]]:
        """A proxy in front of each of ``SERVERS``."""
        async with AsyncExitStack() as stack:
            yield {
                name: await stack.enter_async_context(FaultProxy(HOST, port, seed=seed, port=self.proxy_ports[name]))
                for name, port in self._behind.items()
            }


def _more_ports(ports: Ports, count: int) -> list[int]:
    found: set[int] = set()
    while len(found) < count:
        found |= {free_port()} - set(ports.all())
    return list(found)


@dataclass(frozen=True, slots=True)
class Log:
    """A run's own topic and databases on the servers."""

    servers: Servers
    name: str

    def settings(self, *, proxied: bool) -> StoreSettings:
        """Through the proxies, or past them."""
        addresses, ports = self.servers.addresses, self.servers.proxy_ports
        return StoreSettings(
            kafka=KafkaSettings(
                brokers=f"{HOST}:{ports['kafka']}" if proxied else addresses.kafka,
                topic=self.name,
                partitions=PARTITIONS,
                replication=1,
            ),
            redis=RedisSettings(url=f"redis://{HOST}:{ports['redis']}/0" if proxied else addresses.redis),
            mongo=MongoSettings(
                url=f"mongodb://{HOST}:{ports['mongo']}" if proxied else addresses.mongo,
                view_database=f"{self.name}-views",
                control_database=f"{self.name}-control",
            ),
            s3=S3Settings(
                endpoint_url=addresses.s3,
                bucket=self.name,
                access_key=addresses.s3_access_key,
                secret_key=addresses.s3_secret_key,
            ),
        )

    def environment(self, *, proxied: bool) -> Mapping[str, str]:
        """The same for a process."""
        settings = self.settings(proxied=proxied)
        return {
            "EVERLOG_KAFKA__BROKERS": settings.kafka.brokers,
            "EVERLOG_KAFKA__TOPIC": self.name,
            "EVERLOG_KAFKA__PARTITIONS": str(PARTITIONS),
            "EVERLOG_KAFKA__REPLICATION": "1",
            "EVERLOG_REDIS__URL": settings.redis.url.get_secret_value(),
            "EVERLOG_MONGO__URL": settings.mongo.url.get_secret_value(),
            "EVERLOG_MONGO__VIEW_DATABASE": settings.mongo.view_database,
            "EVERLOG_MONGO__CONTROL_DATABASE": settings.mongo.control_database,
            "EVERLOG_S3__ENDPOINT_URL": self.servers.addresses.s3,
            "EVERLOG_S3__BUCKET": self.name,
            "EVERLOG_S3__ACCESS_KEY": self.servers.addresses.s3_access_key,
            "EVERLOG_S3__SECRET_KEY": self.servers.addresses.s3_secret_key,
            "EVERLOG_PROJECTOR__SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
        }
