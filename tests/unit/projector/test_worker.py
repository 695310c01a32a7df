"""The worker where no broker answers, and the safety net of its shutdown."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import pytest
from aiokafka.errors import OffsetOutOfRangeError

from everlog.ports.log import LogRecord
from everlog.projector.app import GroupSettings, broker_urls, build_app, kafka_credentials
from everlog.projector.worker import WATCHDOG_EXIT_CODE, ProjectorWorker, translated, watchdog
from everlog.schemas.errors import IntegrityError, UnavailableError

NOBODY = "127.0.0.1:1"


class NoSink:
    async def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        raise AssertionError("nothing can be assigned")

    async def revoked(self, partitions: Sequence[int]) -> None:
        raise AssertionError("nothing was assigned")

    async def verify(self, partition: int) -> None:
        raise AssertionError("nothing was assigned")

    async def apply(self, partition: int, records: Sequence[LogRecord]) -> None:
        raise AssertionError("nothing can be read")


def worker() -> ProjectorWorker:
    return ProjectorWorker(brokers=NOBODY, topic="events", group="everlog-g1", sink=NoSink())


async def test_a_worker_without_a_broker_says_that_kafka_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="kafka is unavailable"):
        await worker().run()


async def test_a_worker_can_be_stopped_before_it_is_connected() -> None:
    idle = worker()
    run = asyncio.create_task(idle.run())
    await asyncio.sleep(0)
    await idle.stop()
    await asyncio.wait({run})
    assert run.exception() is None or isinstance(run.exception(), UnavailableError)


def test_an_offset_out_of_range_is_an_integrity_error() -> None:
    assert isinstance(translated(OffsetOutOfRangeError({})), IntegrityError)
    error = ValueError("ours")
    assert translated(error) is error


def test_a_shutdown_that_hangs_ends_the_process() -> None:
    script = "import time; from everlog.projector.worker import watchdog\nwith watchdog(0.1): time.sleep(60)"
    since = time.monotonic()
    assert (
        subprocess.run([sys.executable, "-c", script], check=False, stderr=subprocess.PIPE).returncode
        == WATCHDOG_EXIT_CODE
    )
    assert time.monotonic() - since < 30


def test_a_shutdown_in_time_is_left_alone() -> None:
    with watchdog(60):
        pass


def test_brokers_are_given_as_host_and_port_separated_by_commas() -> None:
    assert [str(url) for url in broker_urls("a:9092, b:9093")] == ["kafka://a:9092", "kafka://b:9093"]


def test_security_settings_become_the_credentials_that_faust_wants() -> None:
    assert kafka_credentials({}) is None
    sasl = kafka_credentials(
        {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": "everlog",
            "sasl_plain_password": "secret",
        }
    )
    assert sasl is not None
    assert sasl.protocol.value == "SASL_PLAINTEXT"
    assert "secret" not in repr(sasl)


async def test_what_a_group_knows_of_its_topic_is_ten_seconds_old_at_most() -> None:
    async def handle(*_: object) -> None:
        raise AssertionError("nothing is read")

    app = build_app(GroupSettings(NOBODY, "events", "everlog-g1"), handle)
    assert app.conf.consumer_metadata_max_age_ms == 10_000
