"""The composition of the gateway."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from everlog.adapters.kafka.audit import KafkaAuditTrail
from everlog.adapters.kafka.topic import check_topic
from everlog.adapters.redis import RedisDeltas, RedisHeartbeats
from everlog.cli.composition import StoreSettings, now_ms, open_stores, reader_name
from everlog.gateway.app import Dependencies, create_app
from everlog.gateway.live import Tiers
from everlog.gateway.server import serve
from everlog.gateway.settings import GatewaySettings
from everlog.gateway.trust import FixedKey, PublishedKeys, TrustedKeys, fetching
from everlog.ports.control import Live
from everlog.producers.producer import Producer
from everlog.runtime.collector import relax_collector
from everlog.runtime.readers import announcing
from everlog.schemas.errors import ConfigurationError


async def run_gateway(host: str | None, port: int | None) -> None:
    """Serve until a signal comes. Raises ``ConfigurationError`` when the address is taken or the key is missing."""
    settings = GatewaySettings.load(host=host, port=port)
    stores_settings = StoreSettings.load()
    await check_topic(stores_settings.kafka)
    async with (
        open_stores(stores_settings) as stores,
        announcing(stores.control, reader_name("gateway"), now_ms),
        Producer(stores.settings.kafka, append_timeout_s=settings.append_timeout_s) as producer,
        _trusted_keys(settings) as trusted_keys,
        KafkaAuditTrail(stores.settings.kafka) as audit,
    ):

        def open_tiers(live: Live) -> Tiers:
            return Tiers(stores.hot(live.generation, live.hot_epoch), stores.warm(live.generation))

        app = create_app(
            Dependencies(
                settings=settings,
                trusted_keys=trusted_keys,
                appender=producer,
                log_reader=stores.log,
                log_identity=stores.identity,
                control=stores.control,
                idempotency=stores.control.idempotency,
                open_tiers=open_tiers,
                history=stores.history,
                heartbeats=RedisHeartbeats(stores.redis),
                deltas=RedisDeltas(stores.settings.redis, stores.redis),
                audit=audit,
                registry=_registry(),
            )
        )
        relax_collector()
        try:
            await serve(app, settings)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}",
                hint="Stop what listens there, or choose another port: --port or EVERLOG_GATEWAY__PORT",
            ) from None


@asynccontextmanager
async def _trusted_keys(settings: GatewaySettings) -> AsyncIterator[TrustedKeys]:
    """The keys of the issuer, or the one in the file. Raises ``ConfigurationError``."""
    if settings.jwks_url is None:
        yield FixedKey(_public_key(settings))
        return
    async with httpx.AsyncClient() as client:
        yield PublishedKeys(fetching(settings.jwks_url, client), settings.algorithms, time.monotonic)


def _public_key(settings: GatewaySettings) -> bytes:
    try:
        return settings.public_key_path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the key that checks tokens, {settings.public_key_path}: {error.strerror}",
            hint="Name it with EVERLOG_GATEWAY__PUBLIC_KEY_PATH, or make a local one: everlog up",
        ) from None


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry
