"""What we use of Faust, mode and aiokafka without being promised it is still there, in the same shape."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import aiokafka
import pytest
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.app.base import App, BootStrategy
from faust.tables.recovery import RebalanceAgain, Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from mode.threads import ServiceThread
from mode.utils.queues import FlowControlQueue

from everlog.projector.app import GroupSettings, build_app
from everlog.projector.transport import Consumer, NoReadOffsets

SIGNATURES: dict[Callable[..., Any], list[str]] = {
    driver.AIOKafkaConsumerThread._create_worker_consumer: ["self", "transport"],
    driver.AIOKafkaConsumerThread._ensure_consumer: ["self"],
    driver.AIOKafkaConsumerThread.call_thread: ["self", "fun", "args", "kwargs"],
    driver.Consumer._new_consumer_thread: ["self"],
    faust_consumer.Consumer._new_offset: ["self", "tp"],
    faust_consumer.Consumer.perform_seek: ["self"],
    faust_consumer.Consumer.on_partitions_assigned: ["self", "assigned", "generation_id"],
    faust_consumer.Consumer.on_partitions_revoked: ["self", "revoked"],
    faust_consumer.ThreadDelegateConsumer.seek_wait: ["self", "partitions"],
    App.FlowControlQueue: ["self", "maxsize", "clear_on_resume"],
    App.on_first_start: ["self"],
    SubscriptionState.fetch_context: ["self"],
}


@pytest.mark.parametrize("method", SIGNATURES, ids=lambda method: method.__qualname__)
def test_a_method_we_depend_on_has_the_known_signature(method: Callable[..., Any]) -> None:
    assert list(inspect.signature(method).parameters) == SIGNATURES[method]


@pytest.mark.parametrize(
    ("where", "what"),
    [
        (aiokafka.AIOKafkaConsumer.__init__, "self._fetch_max_wait_ms = "),
        (aiokafka.AIOKafkaConsumer.__init__, "self._isolation_level = "),
        (aiokafka.AIOKafkaConsumer.start, "fetch_max_wait_ms=self._fetch_max_wait_ms"),
        (aiokafka.AIOKafkaConsumer.start, "isolation_level=self._isolation_level"),
        (aiokafka.AIOKafkaConsumer.start, "self._subscription"),
        (faust_consumer.Consumer._drain_messages, "get_read_offset = self._read_offset.__getitem__"),
        (faust_consumer.Consumer._drain_messages, "if r_offset is None or offset >= r_offset"),
        (faust_consumer.Consumer._filter_committable_offsets, "self._new_offset(tp)"),
        (faust_consumer.Consumer._filter_tps_with_pending_acks, "in self._acked"),
        (faust_consumer.Consumer.ack, "committed = self._committed_offset[tp]"),
        (ServiceThread.start, "self.Worker(self)"),
        (ServiceThread._serve, "await self.beacon.root.data.crash(exc)"),
        (Recovery, "except RebalanceAgain"),
        (FlowControlQueue, "self.maxsize / self.pressure_high_ratio"),
    ],
)
def test_a_private_attribute_we_depend_on_is_still_read_where_we_think(where: Any, what: str) -> None:
    assert what in inspect.getsource(where)


def test_the_sink_is_asked_before_partitions_are_resumed_and_sought() -> None:
    source = inspect.getsource(Recovery._resume_streams)
    steps = ["await app.on_rebalance_complete.send()", "consumer.resume_partitions(", "consumer.perform_seek()"]
    assert sorted(steps, key=source.index) == steps
    assert issubclass(RebalanceAgain, Exception)


def test_faust_never_drops_a_message_for_its_read_offset() -> None:
    offsets = NoReadOffsets()
    offsets[("events", 0)] = 7  # type: ignore[index]
    assert offsets[("events", 0)] is None  # type: ignore[index]


async def test_the_app_reads_only_and_as_our_rules_say() -> None:
    async def handle(tp: object, records: object) -> None: ...

    app = build_app(GroupSettings("127.0.0.1:1,127.0.0.1:2", "events", "everlog-g1"), handle)
    consumer = app.consumer
    assert isinstance(consumer, Consumer)
    driven = consumer._thread._create_worker_consumer(app.transport)  # type: ignore[arg-type]
    assert (driven._group_id, driven._isolation_level, driven._fetch_max_wait_ms) == (
        "everlog-g1",
        "read_committed",
        100,
    )
    assert driven._auto_offset_reset == "none"
    assert not driven._enable_auto_commit
    assert BootStrategy.enable_kafka_producer is None
    boot = app.boot_strategy
    assert isinstance(boot, BootStrategy)
    assert not list(boot.kafka_producer())
    assert not list(boot.web_server())
    assert app.FlowControlQueue(4).pressure_high_size > 4
    await driven.stop()
    consumer._thread.thread_loop.close()
