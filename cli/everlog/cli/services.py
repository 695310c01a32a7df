"""``init`` and the three services in the foreground; SIGTERM drains them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Protocol

import typer


class ProbeSettings(Protocol):
    """Settings of a service that has probes."""

    @property
    def metrics_host(self) -> str:
        """Address to listen on."""

    @property
    def metrics_port(self) -> int | None:
        """None = no probes."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(gateway)
    app.command()(projector)
    app.command()(archiver)


def init(
    local_key: Annotated[bool, typer.Option("--local-key", help="Also make the key that signs local tokens.")] = False,
    adopt_log: Annotated[
        bool,
        typer.Option("--adopt-log", help="Accept a log that holds events although the control database is empty."),
    ] = False,
) -> None:
    """Create topic, bucket, databases, generation 1 and the live pointer; harmless to repeat."""
    from everlog.cli.addresses import ensure_key_pair

    if local_key:
        ensure_key_pair()
    initialise(adopt_log=adopt_log)


def initialise(*, adopt_log: bool = False) -> None:
    """Do what ``everlog init`` does."""
    asyncio.run(_init(adopt_log))


def gateway(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Run the HTTP door."""
    import uvloop

    from everlog.cli.gateway import run_gateway
    from everlog.runtime.logging import configure

    configure("gateway")
    uvloop.run(run_gateway(host, port))


def projector(
    generation: Annotated[int | None, typer.Option(help="Generation to fold; the live one by default.")] = None,
) -> None:
    """Run a projector worker: folds the log into Redis and MongoDB."""
    from everlog.cli.projector import run_projector
    from everlog.runtime import tracing
    from everlog.runtime.collector import relax_collector
    from everlog.runtime.logging import configure

    configure("projector")
    tracing.configure("projector")
    relax_collector()
    try:
        asyncio.run(run_projector(generation))
    finally:
        tracing.end()


def archiver() -> None:
    """Run the archiver: seals, proves and trims."""
    from everlog.runtime.logging import configure

    configure("archiver")
    asyncio.run(_archiver())


async def _init(adopt_log: bool) -> None:
    from everlog.adapters.kafka.audit import ensure_audit_topic
    from everlog.adapters.kafka.reader import KafkaReader
    from everlog.adapters.kafka.topic import check_topic, ensure_topic
    from everlog.adapters.mongo import MongoWarmStore
    from everlog.adapters.s3 import S3ObjectStore, probe_object_store
    from everlog.cli.composition import StoreSettings, new_id, now_ms, open_control
    from everlog.cli.output import note
    from everlog.domain.registry import NEWEST_RULES
    from everlog.runtime.admission import refuse_filled_log
    from everlog.runtime.readers import enact

    settings = StoreSettings.load()
    await ensure_topic(settings.kafka)
    await ensure_audit_topic(settings.kafka)
    await check_topic(settings.kafka)
    async with S3ObjectStore(settings.s3) as objects:
        await objects.ensure_bucket()
        await probe_object_store(objects, f"{settings.s3.root}/probe-{new_id()}")
    async with KafkaReader(settings.kafka) as log, open_control(settings) as (control, views):
        if not adopt_log:
            await refuse_filled_log(log, control)
        await control.initialise(await log.identity())
        for reader in await enact(control, NEWEST_RULES, now_ms()):
            note(f"rules {NEWEST_RULES} wait for {reader.name}, which knows rules {reader.rules}")
        await MongoWarmStore(views, (await control.live()).generation, now_ms=now_ms).ensure_indexes()


async def _archiver() -> None:
    from everlog.adapters.kafka.topic import check_topic
    from everlog.archiver.settings import ArchiverSettings
    from everlog.cli.composition import StoreSettings, open_stores

    settings, stores_settings = ArchiverSettings.load(), StoreSettings.load()
    await check_topic(stores_settings.kafka)
    async with open_stores(stores_settings) as stores:
        worker = await stores.archiver(settings)
        async with probes(settings, lambda: ""):
            await until_signalled(worker.run)


@contextlib.asynccontextmanager
async def probes(settings: ProbeSettings, is_ready: Callable[[], str]) -> AsyncIterator[None]:
    """Serve the probes of a service while the body runs, if its settings name a port."""
    from everlog.runtime.metrics import show_build
    from everlog.runtime.probes import serving_probes

    show_build()
    if settings.metrics_port is None:
        yield
        return
    async with serving_probes(settings.metrics_host, settings.metrics_port, is_ready):
        yield


async def until_signalled(
    work: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Run ``work`` until it ends or SIGTERM or SIGINT comes; then ``stop`` it, or cancel it.

    Raises what the work raised.
    """
    loop, signalled = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    task, waiter = asyncio.ensure_future(work()), asyncio.create_task(signalled.wait())
    try:
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await (stop() if stop is not None else _cancelled(task))
        await task
    except asyncio.CancelledError:
        if not signalled.is_set():
            raise
    finally:
        waiter.cancel()


async def _cancelled(task: asyncio.Future[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
