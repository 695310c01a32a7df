"""The audit trail on a topic of its own, of one partition: its order is the order of what was recorded."""

from __future__ import annotations

from typing import Final, Self

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code
from pydantic import ValidationError

from everlog.adapters.kafka.connection import admin_client, client_arguments, translated
from everlog.ports.audit import TAIL_MAX
from everlog.runtime.config import KafkaSettings
from everlog.runtime.lifecycle import Closing
from everlog.schemas.audit import AuditEvent

RETENTION_MS: Final = 400 * 24 * 3600 * 1000
"""More than a year, so that a yearly review finds all of it."""
READ_TIMEOUT_MS: Final = 1000

_log = structlog.get_logger(__name__)


async def ensure_audit_topic(settings: KafkaSettings) -> None:
    """Make the audit topic if there is none. Raises ``UnavailableError``."""
    configs = {"cleanup.policy": "delete", "retention.ms": str(RETENTION_MS), "message.timestamp.type": "LogAppendTime"}
    topic = NewTopic(settings.audit_topic, 1, settings.replication, topic_configs=configs)
    async with admin_client(settings) as admin:
        with translated(settings, f"making topic {settings.audit_topic}"):
            _, code, *message = (await admin.create_topics([topic])).topic_errors[0]
            error = for_code(code)
            if error not in (NoError, TopicAlreadyExistsError):
                raise error(*message)


class KafkaAuditTrail(Closing):
    """An ``AuditTrail``. Connects at the first call; use it as an async context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        return self

    async def close(self) -> None:
        """Disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def record(self, event: AuditEvent) -> None:
        """Append an entry; returns once all in-sync replicas have it. Raises ``UnavailableError``."""
        with translated(self._settings, "recording for the audit"):
            producer = await self._connected()
            value = event.model_dump_json(exclude_defaults=False, exclude_none=True).encode()
            await producer.send_and_wait(self._settings.audit_topic, value, partition=0)

    async def tail(self, last: int) -> list[AuditEvent]:
        """The newest entries, oldest first; what is none is passed over with a warning. Raises ``UnavailableError``."""
        consumer = AIOKafkaConsumer(**client_arguments(self._settings), enable_auto_commit=False)
        place = TopicPartition(self._settings.audit_topic, 0)
        try:
            with translated(self._settings, "reading the audit trail"):
                await consumer.start()
                consumer.assign([place])
                start = (await consumer.beginning_offsets([place]))[place]
                end = (await consumer.end_offsets([place]))[place]
                position = max(start, end - min(last, TAIL_MAX))
                consumer.seek(place, position)
                entries: list[AuditEvent] = []
                while position < end:
                    records = (await consumer.getmany(place, timeout_ms=READ_TIMEOUT_MS)).get(place, [])
                    entries += [entry for record in records if (entry := _entry(record.value)) is not None]
                    position = records[-1].offset + 1 if records else position
        finally:
            await consumer.stop()
        return entries[-last:] if last > 0 else []

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(**client_arguments(self._settings), acks="all")
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer


def _entry(value: bytes | None) -> AuditEvent | None:
    try:
        return AuditEvent.model_validate_json(value or b"")
    except ValidationError as error:
        _log.warning("an entry of the audit topic is none", problems=error.error_count())
        return None
