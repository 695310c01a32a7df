"""Everlog: the real gateway and projector, each a process of its own, on the real local services.

An append goes through the SDK: HTTP with a checked token, Kafka with acks=all, the verdict from the log's order,
MongoDB and Redis; it returns with the version. Writers of one session need no handle and no second try, as an append
without ``expected_version`` cannot conflict. Beside that: ``checked`` is with it, where a conflict tells the version
and what was written meanwhile; ``durable`` returns at Kafka's acknowledgement; ``batch`` is one atomic event of
``BATCH`` messages; ``produced`` are the messages of a trusted service, through the Kafka-level appender, timed until
the last one is visible.

One local Kafka node acknowledges what its page cache has, as Kafka does by default: replication makes it durable in
production. The others' transactions wait for the disk, and ``fsync`` is with a topic that does, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from benchmarks.projector.appending import fill
from benchmarks.sessions.plan import OWNER, RECENT, SESSIONS, STATE, TEXT, WRITERS, Write, appending, rate, reading
from everlog.adapters.kafka.connection import admin_client
from everlog.adapters.kafka.topic import topic_configs
from everlog.cli.composition import new_id
from everlog.cli.tokens import local_token
from everlog.client import Everlog, Message, Session, UnavailableError, VersionConflictError, text
from everlog.domain.encoding import encode
from everlog.producers.producer import Producer
from everlog.runtime.config import KafkaSettings
from everlog.schemas.events import Event
from everlog.schemas.identifiers import full_type, session_key

TENANT: Final = "bench"
MESSAGE: Final = Message(role="user", parts=[text(TEXT)])
BATCH: Final = 50
PRODUCED: Final = 10_000
VISIBLE_S: Final = 60.0
"""Messages that are not visible after so long never will be."""

Append = Callable[[Session], Awaitable[Any]]


class EverlogStore:
    """A ``SessionStore``; ``writing`` gives what appends a message to a session."""

    def __init__(self, log: Everlog, producer: Producer, writing: Callable[[], Append]) -> None:
        self._log, self._producer, self._writing = log, producer, writing

    async def create(self, session: str) -> None:
        """Begin a session."""
        await self._log.create(session, state=STATE)

    async def writer(self, session: str) -> Write:
        """A writer."""
        chat, append = self._log.session(session), self._writing()

        async def write() -> None:
            await append(chat)

        return write

    async def fill(self, session: str, messages: int) -> None:
        """Through Kafka; then visible."""
        before = await self.read(session)
        await fill(self._producer, [_record(session) for _ in range(messages)])
        await self.read(session, before + messages)

    async def read(self, session: str, messages: int = 0) -> int:
        """The state: the first event created it, each other is a message."""
        until_s = time.perf_counter() + VISIBLE_S
        while True:
            try:
                return (await self._log.session(session).state(min_version=messages + 1)).version - 1
            except UnavailableError:
                if time.perf_counter() > until_s:
                    raise

    async def read_recent(self, session: str) -> int:
        """The newest messages as a model should see them."""
        return len(await self._log.session(session).messages(last=RECENT))


def _plain() -> Append:
    return lambda chat: chat.append(MESSAGE)


def _durable() -> Append:
    return lambda chat: chat.append(MESSAGE, wait="durable")


def _batch() -> Append:
    return lambda chat: chat.append([MESSAGE] * BATCH)


def _checked() -> Append:
    """Appends onto the version that this writer knows."""
    version = 1

    async def append(chat: Session) -> None:
        nonlocal version
        while True:
            try:
                appended = await chat.append(MESSAGE, expected_version=version)
            except VersionConflictError as error:
                version = error.actual_version
            else:
                version = appended.version or version
                return

    return append


async def measure(gateway_url: str) -> dict[str, float]:
    """The metrics."""
    token = local_token(tenant=TENANT, principal=OWNER)
    settings = KafkaSettings.load()
    async with Everlog.connect(gateway_url, token=token) as log, Producer(settings) as producer:
        metrics = await appending(EverlogStore(log, producer, _plain))
        metrics |= await _other_appends(log, producer)
        metrics |= await reading(EverlogStore(log, producer, _plain))
        await _flush_each_message(settings)
        fsync = await _rates(EverlogStore(log, producer, _plain), "fsync")
        return metrics | {f"fsync_{name}": per_s for name, per_s in fsync.items()}


async def _other_appends(log: Everlog, producer: Producer) -> dict[str, float]:
    batches = await rate(EverlogStore(log, producer, _batch), ["batch"])
    durable = await _rates(EverlogStore(log, producer, _durable), "durable")
    return {
        f"checked_append_{WRITERS}_writers_per_s": await rate(
            EverlogStore(log, producer, _checked), ["checked"], WRITERS
        ),
        "batch_append_per_s": round(batches * BATCH, 1),
        **{f"durable_{name}": per_s for name, per_s in durable.items()},
        "produced_per_s": await _produced(EverlogStore(log, producer, _plain), producer),
    }


async def _rates(store: EverlogStore, name: str) -> dict[str, float]:
    return {
        "append_per_s": await rate(store, [name]),
        f"append_{SESSIONS}_sessions_per_s": await rate(store, [f"{name}-{number}" for number in range(SESSIONS)]),
    }


async def _produced(store: EverlogStore, producer: Producer) -> float:
    """Messages a second until the last one is visible."""
    sessions = [f"produced-{number}" for number in range(SESSIONS)]
    await asyncio.gather(*(store.create(session) for session in sessions))
    records = [_record(session) for _ in range(PRODUCED // SESSIONS) for session in sessions]
    began_s = time.perf_counter()
    await fill(producer, records)
    await asyncio.gather(*(store.read(session, PRODUCED // SESSIONS) for session in sessions))
    return round(PRODUCED / (time.perf_counter() - began_s), 1)


async def _flush_each_message(settings: KafkaSettings) -> None:
    """Let Kafka acknowledge only what is on the disk."""
    configs = {**topic_configs(settings.replication), "flush.messages": "1"}
    async with admin_client(settings) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.topic_name, configs)])


def _record(session: str) -> tuple[str, bytes]:
    event = Event(
        id=new_id(),
        source="/mads/planner",
        type=full_type(MESSAGE.type_name),
        subject=session,
        tenantid=TENANT,
        time="2026-01-02T03:04:05.678Z",
        actor=OWNER,
        data=MESSAGE.model_dump(mode="json", exclude_defaults=True),
    )
    return session_key(TENANT, session), encode(event)
