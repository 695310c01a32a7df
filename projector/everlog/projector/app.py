"""The Faust app of a projector worker: one agent, a batch per message, no tables, no web server, no files.

Faust's own safety nets are replaced by three rules. The cursors decide what is applied (``cursors``). The agent
acknowledges every message, applied or not, since an acknowledgement only tells Faust that nobody waits for it any
more. And the first failure stops the whole worker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import faust
from faust.app.base import BootStrategy
from faust.types import TP, StreamT
from faust.types.auth import CredentialsT
from mode import CrashingSupervisor
from mode.utils.queues import ThrowableQueue
from yarl import URL

from everlog.ports.log import LogRecord
from everlog.projector.scheduling import ChunkScheduler, ChunkSchema
from everlog.projector.transport import Consumer, Transport

BUFFERED_CHUNKS = 4
"""Chunks that wait in front of a partition's agent. ``app.topic(maxsize=...)`` is silently ignored by Faust."""
COMMIT_INTERVAL_S = 1.0
POLL_INTERVAL_S = 300.0
"""A member that has not polled for so long leaves its group."""
SESSION_TIMEOUT_S = 30.0
"""A member whose heartbeats stop loses its partitions after this. Brokers refuse less than 6 s."""

METADATA_AGE_S = 10.0
"""How old what a worker knows of the topic may be. Who leads the group while connections break may know of no partition
and assign none; the next look at the topic begins a new assignment. The driver's own 300 s would be an outage."""

Handler = Callable[[TP, Sequence[LogRecord]], Awaitable[None]]


class GroupSettings(NamedTuple):
    """Whom to read from and as whom; ``instance_id`` keeps partitions over a quick restart (static membership)."""

    brokers: str
    topic: str
    group: str
    instance_id: str | None = None
    credentials: CredentialsT | None = None
    session_timeout_s: float = SESSION_TIMEOUT_S


class BlockingQueue(ThrowableQueue[Any]):
    """A queue that is never "under pressure": a full one just blocks the fetch loop.

    Under pressure Faust sleeps one second whenever all partitions are busy. Depends on mode's class attribute
    ``pressure_high_ratio``: size / 0.5 is more than the queue can hold.
    """

    pressure_high_ratio = 0.5


class WithoutProducer(BootStrategy):
    """The worker only reads; the sink has its own connections."""

    enable_kafka_producer = False


class ProjectorApp(faust.App):
    """A Faust app that reads batches and leaves nothing on disk."""

    BootStrategy = WithoutProducer

    def FlowControlQueue(  # noqa: N802 - Faust's name for its queue factory
        self, maxsize: int | None = None, *, clear_on_resume: bool = False
    ) -> ThrowableQueue[Any]:
        """Make the queue in front of an agent."""
        return BlockingQueue(maxsize=maxsize, flow_control=self.flow_control, clear_on_resume=clear_on_resume)

    async def on_first_start(self) -> None:
        """Faust makes its data directories here; there is no data."""

    @property
    def batch_consumer(self) -> Consumer:
        """The consumer that our transport made."""
        consumer = self.consumer
        assert isinstance(consumer, Consumer)  # noqa: S101 - made by our own transport
        return consumer


def broker_urls(brokers: str) -> list[URL]:
    """``"a:9092,b:9092"`` as Faust wants it."""
    return [URL(f"kafka://{broker.strip()}") for broker in brokers.split(",") if broker.strip()]


def kafka_credentials(security: Mapping[str, Any]) -> CredentialsT | None:
    """aiokafka's keyword arguments for TLS and SASL as Faust wants them; None for a plain connection."""
    context = security.get("ssl_context")
    mechanism = security.get("sasl_mechanism", "PLAIN")
    match security.get("security_protocol", "PLAINTEXT"):
        case "PLAINTEXT":
            return None
        case "SSL":
            return faust.SSLCredentials(context)
        case _ if mechanism == "OAUTHBEARER":
            return faust.OAuthCredentials(oauth_cb=security["sasl_oauth_token_provider"], ssl_context=context)
        case _:
            return faust.SASLCredentials(
                username=security["sasl_plain_username"],
                password=security["sasl_plain_password"],
                ssl_context=context,
                mechanism=mechanism,
            )


def build_app(settings: GroupSettings, handle: Handler) -> ProjectorApp:
    """An app that calls ``handle`` with the records of each chunk, one at a time per partition."""
    app = ProjectorApp(
        settings.group,
        broker=broker_urls(settings.brokers),
        broker_credentials=settings.credentials,
        broker_commit_interval=COMMIT_INTERVAL_S,
        broker_max_poll_interval=POLL_INTERVAL_S,
        broker_session_timeout=settings.session_timeout_s,
        consumer_auto_offset_reset="none",
        consumer_group_instance_id=settings.instance_id,
        consumer_metadata_max_age_ms=int(METADATA_AGE_S * 1000),
        ConsumerScheduler=ChunkScheduler,
        stream_buffer_maxsize=BUFFERED_CHUNKS,
        processing_guarantee="at_least_once",
        store="memory://",
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
    )
    app.transport = Transport(app.conf.broker_consumer, app)
    topic = app.topic(settings.topic, schema=ChunkSchema())

    async def project(stream: StreamT[Any]) -> None:
        # Faust types the interface, which lacks noack(), instead of the class that it passes.
        async for event in cast(faust.Stream[Any], stream).noack().events():
            try:
                await handle(event.message.tp, event.value)
            finally:
                event.ack()

    app.agent(topic, name="project", isolated_partitions=True, supervisor_strategy=CrashingSupervisor)(project)
    return app
