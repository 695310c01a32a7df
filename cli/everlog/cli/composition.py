"""The composition root: every adapter of the stores, made from the settings."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

import uuid_utils

from everlog.adapters.archive import ManifestStore, SegmentStore
from everlog.adapters.kafka.reader import KafkaReader
from everlog.adapters.kafka.trimmer import KafkaTrimmer
from everlog.adapters.mongo import MongoControlStore, MongoWarmStore, connect
from everlog.adapters.mongo.connection import Database
from everlog.adapters.redis import RedisHotStore
from everlog.adapters.redis.connection import Client as RedisClient
from everlog.adapters.redis.connection import connect as connect_redis
from everlog.adapters.s3 import S3ObjectStore
from everlog.archiver.measuring import ArchiveMeter
from everlog.archiver.proving import Prover
from everlog.archiver.sealing import Sealer
from everlog.archiver.service import Archiver
from everlog.archiver.settings import ArchiverSettings
from everlog.archiver.trimming import Trimmer
from everlog.ports.log import LogIdentity
from everlog.replay.archive import ArchiveReader
from everlog.replay.history import ArchiveThenLog
from everlog.runtime.admission import check_log
from everlog.runtime.config import KafkaSettings, MongoSettings, RedisSettings, S3Settings, load_all
from everlog.runtime.owner_requests import Requests


@dataclass(frozen=True)
class StoreSettings:
    """Where the log and the stores are."""

    kafka: KafkaSettings
    redis: RedisSettings
    mongo: MongoSettings
    s3: S3Settings

    @classmethod
    def load(cls) -> StoreSettings:
        """The settings in force. Raises ``ConfigurationError`` with every wrong one."""
        kafka, redis, mongo, s3 = load_all({KafkaSettings: {}, RedisSettings: {}, MongoSettings: {}, S3Settings: {}})
        return cls(
            cast(KafkaSettings, kafka), cast(RedisSettings, redis), cast(MongoSettings, mongo), cast(S3Settings, s3)
        )


def now_ms() -> int:
    """The clock of the services, milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """A fresh UUIDv7."""
    return str(uuid_utils.uuid7())


def reader_name(service: str, instance: str | None = None) -> str:
    """What a process announces itself as: its static name, else machine and process."""
    return f"{service}/{instance or f'{socket.gethostname()}-{os.getpid()}'}"


@dataclass(frozen=True)
class Stores:
    """The log and the stores, connected."""

    settings: StoreSettings
    identity: LogIdentity
    log: KafkaReader
    control: MongoControlStore
    views: Database
    objects: S3ObjectStore
    manifests: ManifestStore
    segments: SegmentStore
    history: ArchiveThenLog
    redis: RedisClient

    def warm(self, generation: int) -> MongoWarmStore:
        """The warm store of a generation."""
        return MongoWarmStore(self.views, generation, now_ms=now_ms)

    def hot(self, generation: int, epoch: int) -> RedisHotStore:
        """The hot store of a generation under a hot epoch; all share their connections."""
        return RedisHotStore(self.settings.redis, generation, epoch, client=self.redis)

    def requests(self, generation: int) -> Requests:
        """Requests to the owners of the partitions of a generation."""
        return Requests(self.identity, self.control, generation, new_id)

    async def archiver(self, settings: ArchiverSettings) -> Archiver:
        """An archiver of this log."""
        generations = [self.warm(attached.generation) for attached in await self.control.generations()]
        return Archiver(
            identity=self.identity,
            log=self.log,
            manifests=self.manifests,
            sealer=Sealer(self.log, self.manifests, self.segments, settings, now_ms),
            prover=Prover(self.log, self.manifests, self.segments, now_ms),
            trimmer=Trimmer(self.log, KafkaTrimmer(self.settings.kafka), self.control, generations, now_ms),
            meter=ArchiveMeter(self.log, now_ms),
            settings=settings,
            writer=new_id(),
        )


@asynccontextmanager
async def open_control(settings: StoreSettings) -> AsyncIterator[tuple[MongoControlStore, Database]]:
    """The control store and the database of views."""
    client = connect(settings.mongo)
    try:
        views = client[settings.mongo.view_database]
        yield MongoControlStore(client[settings.mongo.control_database], views), views
    finally:
        await client.close()


@asynccontextmanager
async def open_stores(settings: StoreSettings) -> AsyncIterator[Stores]:
    """Connect to the log and the stores, and refuse a log that is not the one of the beginning.

    Raises ``UnavailableError``, ``ConfigurationError``, and what ``check_log`` refuses with.
    """
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(KafkaReader(settings.kafka))
        control, views = await stack.enter_async_context(open_control(settings))
        objects = await stack.enter_async_context(S3ObjectStore(settings.s3))
        identity = await check_log(log, control, control.refuse_orphaned_views)
        manifests, segments = ManifestStore(objects, settings.s3.root), SegmentStore(objects, settings.s3.root)
        history = ArchiveThenLog(identity, ArchiveReader(manifests, segments, identity.era), log)
        redis = connect_redis(settings.redis)
        stack.push_async_callback(redis.aclose)
        yield Stores(settings, identity, log, control, views, objects, manifests, segments, history, redis)
