"""The composition of a projector worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from everlog.adapters.kafka.connection import security_arguments
from everlog.adapters.kafka.topic import check_topic
from everlog.cli.composition import Stores, StoreSettings, now_ms, open_stores, reader_name
from everlog.cli.services import probes, until_signalled
from everlog.projector.hot import HotSide
from everlog.projector.lag import LagMeter
from everlog.projector.projection import Projection
from everlog.projector.redriving import Redriver
from everlog.projector.refilling import Refiller
from everlog.projector.requests import RequestRunner
from everlog.projector.retrying import Retries
from everlog.projector.settings import ProjectorSettings
from everlog.projector.tracing import TracedSink
from everlog.projector.worker import ProjectorWorker
from everlog.runtime.admission import check_generation
from everlog.runtime.logging import always
from everlog.runtime.readers import announcing


@dataclass(frozen=True)
class ProjectorService:
    """A projector worker, and what is done between its batches."""

    projection: Projection
    worker: ProjectorWorker
    between: Sequence[Callable[[], Coroutine[None, None, None]]]

    async def run(self) -> None:
        """Work until ``worker.stop``; the first failure of any ends all, and is raised."""
        between = [asyncio.create_task(run()) for run in self.between]
        working = asyncio.create_task(self.worker.run())
        try:
            done, _ = await asyncio.wait({*between, working}, return_when=asyncio.FIRST_COMPLETED)
            if working not in done:
                await self.worker.stop()
            for task in done:
                task.result()
        finally:
            for task in between:
                task.cancel()
            await asyncio.gather(*between, working, return_exceptions=True)


async def compose(stores: Stores, generation: int, settings: ProjectorSettings) -> ProjectorService:
    """The projector of a generation over connected stores."""
    control, kafka, mongodb = stores.control, stores.settings.kafka, Retries("mongodb")
    epoch = await control.hot_epoch(generation)
    projection = Projection(
        identity=stores.identity,
        warm=stores.warm(generation),
        hot=HotSide(stores.hot(generation, epoch.epoch), epoch, control, generation, mongodb),
        log=stores.log,
        history=stores.history,
        cached_sessions=settings.cached_sessions,
        mongodb=mongodb,
    )
    poll_s = settings.request_poll_ms / 1000
    redriver = Redriver(projection, poll_s, now_ms)
    worker = ProjectorWorker(
        brokers=kafka.brokers,
        topic=kafka.topic_name,
        group=f"everlog-g{generation}",
        sink=TracedSink(projection, generation),
        instance_id=settings.instance_id,
        security=security_arguments(kafka),
        session_timeout_s=settings.session_timeout_s,
    )
    requests = RequestRunner(projection, redriver, control, generation, poll_s)
    meter = LagMeter(stores.log, lambda: {owned.partition: owned.watermark for owned in projection.owned.values()})
    return ProjectorService(projection, worker, [requests.run, redriver.run, Refiller(projection).run, meter.run])


async def run_projector(generation: int | None) -> None:
    """Fold the log until a signal comes. Raises what a start is refused with, and what ends a worker."""
    settings, stores_settings = ProjectorSettings.load(generation=generation), StoreSettings.load()
    await check_topic(stores_settings.kafka)
    async with open_stores(stores_settings) as stores:
        folded = settings.generation or (await stores.control.live()).generation
        always(generation=folded)
        check_generation(await stores.control.generations(), folded)
        reader = reader_name(f"projector/g{folded}", settings.instance_id)
        async with announcing(stores.control, reader, now_ms):
            service = await compose(stores, folded, settings)
            worker = service.worker
            async with probes(settings, lambda: "" if worker.has_joined else "it has not joined its group yet"):
                await until_signalled(service.run, worker.stop)
