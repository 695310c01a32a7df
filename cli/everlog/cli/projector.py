"""The composition of a projector worker."""

from __future__ import annotations

import asyncio

from everlog.adapters.kafka.connection import security_arguments
from everlog.adapters.kafka.topic import check_topic
from everlog.cli.composition import StoreSettings, now_ms, open_stores
from everlog.cli.services import probes, until_signalled
from everlog.projector.projection import Projection
from everlog.projector.redriving import Redriver
from everlog.projector.requests import RequestRunner
from everlog.projector.settings import ProjectorSettings
from everlog.projector.stores import HotSide
from everlog.projector.worker import ProjectorWorker


async def run_projector(generation: int | None) -> None:
    """Fold the log until a signal comes. Raises what ends a worker."""
    settings, stores_settings = ProjectorSettings.load(generation=generation), StoreSettings.load()
    await check_topic(stores_settings.kafka)
    async with open_stores(stores_settings) as stores:
        live = await stores.control.live()
        folded = settings.generation or live.generation
        hot = HotSide(stores.hot(folded, live.hot_epoch), stores.control, folded)
        projection = Projection(
            identity=stores.identity,
            warm=stores.warm(folded),
            hot=hot,
            log=stores.log,
            history=stores.history,
            cached_sessions=settings.cached_sessions,
        )
        poll_s = settings.request_poll_ms / 1000
        redriver = Redriver(projection, poll_s, now_ms)
        requests = RequestRunner(projection, redriver, stores.control, folded, poll_s)
        worker = ProjectorWorker(
            brokers=stores_settings.kafka.brokers,
            topic=stores_settings.kafka.topic_name,
            group=f"everlog-g{folded}",
            sink=projection,
            instance_id=settings.instance_id,
            security=security_arguments(stores_settings.kafka),
            session_timeout_s=settings.session_timeout_s,
        )
        async with probes(settings, lambda: "" if worker.has_joined else "it has not joined its group yet"):
            await until_signalled(lambda: _work(worker, requests, redriver), worker.stop)


async def _work(worker: ProjectorWorker, requests: RequestRunner, redriver: Redriver) -> None:
    """The worker, and what is done between its batches; the first failure of any ends all."""
    between = [asyncio.create_task(requests.run()), asyncio.create_task(redriver.run())]
    working = asyncio.create_task(worker.run())
    try:
        done, _ = await asyncio.wait({*between, working}, return_when=asyncio.FIRST_COMPLETED)
        if working not in done:
            await worker.stop()
        for task in done:
            task.result()
    finally:
        for task in between:
            task.cancel()
        await asyncio.gather(*between, working, return_exceptions=True)
