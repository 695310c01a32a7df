"""The services as processes: what they show of themselves, and with what they refuse to start."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from everlog.adapters.kafka.topic import ensure_topic
from everlog.cli.composition import Stores, StoreSettings, now_ms, open_stores
from everlog.cli.services import initialise
from everlog.domain.record import partition_of
from everlog.domain.view import FOLD_VERSION
from everlog.local.ports import Ports
from everlog.local.stack import Addresses
from everlog.ports.control import Reader
from everlog.producers import Producer
from support.deployment import variables_of
from support.events import KEY, created, said
from support.waiting import until

pytestmark = pytest.mark.integration

DEADLINE_S = 60.0
PARTITIONS = 2
PARTITION = partition_of(KEY.encode(), PARTITIONS)
DEPENDENCIES = {("kafka",), ("mongodb",), ("redis",)}
SECRET = "what the user said"

OF_EVERY_SERVICE = {"everlog_build_info": "gauge", "everlog_retries_total": "counter"}
OF_THE_PROJECTOR = {
    **OF_EVERY_SERVICE,
    "everlog_projector_events_total": "counter",
    "everlog_verdicts_total": "counter",
    "everlog_projector_lag_events": "gauge",
    "everlog_projector_lag_seconds": "gauge",
    "everlog_projector_last_flush_seconds": "gauge",
    "everlog_projector_batch_seconds": "histogram",
    "everlog_parked_sessions": "gauge",
    "everlog_parked_oldest_seconds": "gauge",
    "everlog_rehydrate_seconds": "histogram",
    "everlog_evictions_total": "counter",
    "everlog_log_start_offset": "gauge",
    "everlog_log_end_offset": "gauge",
    "everlog_breaker_state": "gauge",
}
OF_THE_ARCHIVER = {
    **OF_EVERY_SERVICE,
    "everlog_log_start_offset": "gauge",
    "everlog_log_end_offset": "gauge",
    "everlog_archive_next_offset": "gauge",
    "everlog_archive_proved_offset": "gauge",
    "everlog_archive_lag_seconds": "gauge",
    "everlog_archive_oldest_proof_seconds": "gauge",
    "everlog_archive_faults_total": "counter",
    "everlog_archive_bytes_total": "counter",
}


@pytest.fixture
async def stores(services: Addresses, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stores]:
    """A log and stores of this test alone, as ``everlog init`` makes them."""
    name = f"process-{uuid.uuid4().hex[:8]}"
    for variable, text in variables_of(services, name, partitions=PARTITIONS).items():
        monkeypatch.setenv(variable, text)
    await asyncio.to_thread(initialise)
    async with open_stores(StoreSettings.load()) as stores:
        yield stores


async def begin(*arguments: str, **variables: object) -> asyncio.subprocess.Process:
    """The command as a process, with some settings changed."""
    changed = {f"EVERLOG_{name}": str(value) for name, value in variables.items()}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "everlog.cli", *arguments,
        env={**os.environ, "NO_COLOR": "1", **changed},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ended(*arguments: str, **variables: object) -> tuple[int, str]:
    """How a command ended by itself, and what it said."""
    process = await begin(*arguments, **variables)
    try:
        async with asyncio.timeout(DEADLINE_S):
            _, said_of_it = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode is not None
    return process.returncode, said_of_it.decode()


class Probes:
    """What a running service shows."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.lines: list[dict[str, object]] = []
        """Its log, when it has ended."""

    async def metrics(self) -> dict[str, Metric]:
        """The families by their name, that of a counter with its suffix."""
        text = (await self.client.get("/metrics")).text
        families = text_string_to_metric_families(text)
        return {each.name + ("_total" if each.type == "counter" else ""): each for each in families}

    async def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of a metric by the values of their labels."""
        found = (await self.metrics()).get(name)
        samples = found.samples if found is not None else []
        return {tuple(each.labels.values()): each.value for each in samples if each.name == name}


@asynccontextmanager
async def running(service: str, **variables: object) -> AsyncIterator[Probes]:
    """A service with probes, until SIGTERM, at which it must end with 0."""
    port = Ports.free().projector
    process = await begin(service, **variables, **{f"{service.upper()}__METRICS_PORT": port})
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        probes = Probes(client)
        try:
            yield probes
        finally:
            process.send_signal(signal.SIGTERM)
            _, log = await process.communicate()
            probes.lines = [json.loads(line) for line in log.decode().splitlines()]
        assert process.returncode == 0, log.decode()


async def is_ready(probes: Probes) -> bool:
    try:
        return (await probes.client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False  # it does not listen yet


async def groups(stores: Stores) -> set[str]:
    """The consumer groups of the cluster."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stores.settings.kafka.brokers)
    await admin.start()
    try:
        return {group[0] for group in await admin.list_consumer_groups()}
    finally:
        await admin.close()


async def test_a_projector_shows_its_metrics_and_health_and_tells_no_content(stores: Stores) -> None:
    async with Producer(stores.settings.kafka) as producer:
        await producer.append(KEY, created())
        async with running("projector", PROJECTOR__INSTANCE_ID="first") as probes:
            await until(lambda: is_ready(probes), timeout_s=DEADLINE_S, what="it is not ready")
            assert (await probes.client.get("/livez")).status_code == 200
            assert [reader.name for reader in await stores.control.readers()] == ["projector/g1/first"]
            for _ in range(9):
                await producer.append(KEY, said(SECRET))

            async def has_caught_up() -> bool:
                ends = await probes.samples("everlog_log_end_offset")
                lag = await probes.samples("everlog_projector_lag_events")
                return ends.get((str(PARTITION),)) == 10 and set(lag.values()) == {0.0}

            await until(has_caught_up, timeout_s=DEADLINE_S, what="it is behind")
            families = await probes.metrics()
            assert {name: families[name].type for name in OF_THE_PROJECTOR if name in families} == OF_THE_PROJECTOR
            lag = await probes.samples("everlog_projector_lag_events")
            assert lag == {(str(each),): 0.0 for each in range(PARTITIONS)}
            assert await probes.samples("everlog_projector_lag_seconds") == {(): 0.0}
            assert await probes.samples("everlog_projector_events_total") == {(): 10.0}
            flushed_s = (await probes.samples("everlog_projector_last_flush_seconds"))[()]
            assert abs(time.time() - flushed_s) < DEADLINE_S
            stages = {each.labels["stage"] for each in families["everlog_projector_batch_seconds"].samples}
            assert stages == {"load", "fold", "warm", "hot"}
            breakers = await probes.samples("everlog_breaker_state")
            assert breakers.keys() >= DEPENDENCIES and set(breakers.values()) == {0.0}
            assert set((await probes.samples("everlog_retries_total")).values()) == {0.0}
            (build,) = families["everlog_build_info"].samples
            assert build.labels.keys() == {"version", "python", "fold_version", "rules"}
    assert await stores.control.readers() == []
    assert all(line["service"] == "projector" and line["level"] for line in probes.lines)
    assert SECRET not in json.dumps(probes.lines)


async def test_an_archiver_shows_its_metrics(stores: Stores) -> None:
    async with Producer(stores.settings.kafka) as producer:
        await producer.append(KEY, created())
    async with running("archiver", ARCHIVER__FLUSH_INTERVAL_S=0, ARCHIVER__CYCLE_S=0.1) as probes:
        await until(lambda: is_ready(probes), timeout_s=DEADLINE_S, what="it is not ready")

        async def has_proved() -> bool:
            proved = await probes.samples("everlog_archive_proved_offset")
            return proved.get((str(PARTITION),)) == 1.0 and len(proved) == PARTITIONS

        await until(has_proved, timeout_s=DEADLINE_S, what="it has not archived")
        families = await probes.metrics()
        assert {name: families[name].type for name in OF_THE_ARCHIVER if name in families} == OF_THE_ARCHIVER
        assert (await probes.samples("everlog_archive_bytes_total"))[()] > 0


async def test_a_service_that_does_not_fit_is_refused_before_it_joins_its_group(stores: Stores) -> None:
    settings = stores.settings
    async with Producer(settings.kafka) as producer:
        await producer.append(KEY, created())
    await ensure_topic(settings.kafka.model_copy(update={"era": 1}))
    topic = settings.kafka.topic
    refused: list[tuple[int, list[str], dict[str, object]]] = [
        (2, ["it has 2 partitions, the settings say 3"], {"KAFKA__PARTITIONS": 3}),
        (2, [f"there is no topic {topic}.7", "everlog init"], {"KAFKA__ERA": 7}),
        (4, [f"era 1 of topic {topic}", f"era 0 of topic {topic}", "EVERLOG_KAFKA__ERA=0"], {"KAFKA__ERA": 1}),
        (4, ["control database is empty", "holds events"],
         {"MONGO__CONTROL_DATABASE": f"{topic}-lost", "MONGO__VIEW_DATABASE": f"{topic}-lost-views"}),
        (3, ["there is no generation 9, only 1"], {"PROJECTOR__GENERATION": 9}),
    ]  # fmt: skip
    answers = await asyncio.gather(*(ended("projector", **variables) for _, _, variables in refused))
    for (code, told, _), answer in zip(refused, answers, strict=True):
        assert answer[0] == code and all(words in answer[1] for words in told), answer

    generations = stores.views.client[settings.mongo.control_database]["generations"]
    await generations.insert_one({"_id": "g7", "generation": 7, "fold_version": FOLD_VERSION + 1})
    code, told_of_it = await ended("projector", "--generation", "7")
    assert code == 4 and f"generation 7 is of fold version {FOLD_VERSION + 1}" in told_of_it, told_of_it

    await generations.update_one({"_id": "g7"}, {"$set": {"fold_version": FOLD_VERSION}})
    await stores.control.put_in_force(2)
    for service in (["projector", "--generation", "7"], ["gateway"]):
        code, told_of_it = await ended(*service, GATEWAY__PORT=Ports.free().gateway)
        assert code == 4 and "the log is of rules 2" in told_of_it, told_of_it
    assert await stores.control.readers() == []
    assert "everlog-g7" not in await groups(stores)


async def test_a_lost_control_database_is_replaced_only_on_demand(stores: Stores) -> None:
    async with Producer(stores.settings.kafka) as producer:
        await producer.append(KEY, created())
    name = stores.settings.kafka.topic
    lost = {"MONGO__CONTROL_DATABASE": f"{name}-lost", "MONGO__VIEW_DATABASE": f"{name}-lost-views"}
    code, told = await ended("init", **lost)
    assert code == 4 and "everlog init --adopt-log" in told, told
    assert (await ended("init", "--adopt-log", **lost))[0] == 0
    assert (await ended("init", **lost))[0] == 0


async def test_a_topic_whose_settings_were_changed_is_refused_by_every_service(stores: Stores) -> None:
    kafka = stores.settings.kafka
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.brokers)
    await admin.start()
    try:
        wrong = {"retention.ms": "604800000", "cleanup.policy": "compact", "message.timestamp.type": "CreateTime"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, kafka.topic_name, wrong)])
    finally:
        await admin.close()
    for service in ("projector", "archiver", "gateway"):
        code, told = await ended(service, GATEWAY__PORT=Ports.free().gateway)
        assert code == 2 and all(name in told for name in wrong), told


async def test_a_projector_that_meets_unknown_rules_stores_nothing_of_the_batch_and_does_not_start_again(
    stores: Stores,
) -> None:
    await stores.control.announce(Reader("gateway/other", 1, now_ms()))
    async with Producer(stores.settings.kafka) as producer:
        of_the_future = said("hello").removesuffix(b"}") + b',"rules":2}'
        for raw in (created(), said("hello"), of_the_future, said("hello")):
            await producer.append(KEY, raw)
    code, told = await ended("projector")
    assert code == 4, told
    assert "offset 2 of partition" in told and "is of rules 2" in told and "Upgrade this service" in told
    alarms = [line for line in map(json.loads, told.splitlines()[:-1]) if line["level"] == "critical"]
    assert [(line["event"], line["met_rules"]) for line in alarms] == [("this reader is too old for the log", 2)]
    warm = stores.warm(1)
    assert (await warm.watermark(0, PARTITION), await warm.load([KEY])) == (0, {})
    assert await warm.timeline(KEY, 1, 10) == []
    code, told = await ended("projector")
    assert code == 4 and "the log is of rules 2" in told, told
    assert [reader.name for reader in await stores.control.readers()] == ["gateway/other"]
