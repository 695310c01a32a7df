"""A projector beside an empty control database: it refuses to start, and writes nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.check import stores_of
from chaos.run import initialise
from chaos.servers import PARTITIONS, Log, Servers
from chaos.views import quiet_copy
from everlog.adapters.mongo import connect
from everlog.domain.record import partition_of
from everlog.producers import Producer
from support.events import KEY, created, said

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

TIMEOUT_S = 60.0


async def test_a_projector_refuses_to_start_beside_an_empty_control_database_and_a_filled_log(
    servers: Servers, tmp_path: Path
) -> None:
    log = Log(servers, "chaos-empty-control")
    await asyncio.to_thread(initialise, log, tmp_path)
    settings = log.settings(proxied=False)
    async with Producer(settings.kafka) as producer:
        for value in (created(), said("hello")):
            await producer.append(KEY, value)
    async with connect(settings.mongo) as client:
        await client.drop_database(settings.mongo.control_database)
    command = [sys.executable, "-P", "-m", "everlog.cli", "projector"]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env=dict(log.environment(proxied=False)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode > 0
    assert "everlog init" in done.stderr
    views = await quiet_copy(settings.mongo)
    assert not any(views.values())
    async with stores_of(settings) as stores:
        assert (await stores.log.bounds(partition_of(KEY.encode(), PARTITIONS))).end == 2
