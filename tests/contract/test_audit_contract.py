"""What every audit trail must do: the one in memory, and Kafka."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from everlog.adapters.kafka.audit import KafkaAuditTrail, ensure_audit_topic
from everlog.adapters.memory.audit import MemoryAuditTrail
from everlog.local.stack import Addresses
from everlog.ports.audit import AuditTrail
from everlog.runtime.config import KafkaSettings
from everlog.schemas.audit import AuditEvent, Denial, Operation
from everlog.schemas.errors import UnavailableError

TIME = "2026-01-02T03:04:05.678Z"


def denied(number: int) -> AuditEvent:
    data = Denial(method="GET", path=f"/v1/sessions/rome-{number}", reason="forbidden", detail="no", role="viewer")
    return AuditEvent(
        id=f"d{number}",
        source="/gateway",
        type="everlog.audit.denied.v1",
        time=TIME,
        tenantid="acme",
        actor="ada",
        data=data,
    )


def operated() -> AuditEvent:
    data = Operation(command="archive trim", reason="disk is full", arguments={"window_s": "0"}, session_count=0)
    return AuditEvent(id="o1", source="/cli", type="everlog.audit.operation.v1", time=TIME, actor="root", data=data)


class AuditContract:
    """Subclasses give the fixture ``trail``, empty."""

    async def test_nothing_was_recorded_at_first(self, trail: AuditTrail) -> None:
        assert await trail.tail(10) == []

    async def test_entries_come_back_whole_and_in_order(self, trail: AuditTrail) -> None:
        recorded = [denied(1), operated(), denied(2)]
        for entry in recorded:
            await trail.record(entry)
        assert await trail.tail(10) == recorded

    async def test_a_tail_is_the_newest_entries_oldest_first(self, trail: AuditTrail) -> None:
        for number in range(5):
            await trail.record(denied(number))
        assert await trail.tail(2) == [denied(3), denied(4)]
        assert await trail.tail(0) == []


class TestMemory(AuditContract):
    @pytest.fixture
    def trail(self) -> AuditTrail:
        return MemoryAuditTrail()


@pytest.mark.integration
class TestKafka(AuditContract):
    @pytest.fixture
    async def trail(self, services: Addresses) -> AsyncIterator[KafkaAuditTrail]:
        topic = f"audit-{uuid.uuid4().hex[:8]}"
        settings = KafkaSettings(brokers=services.kafka, replication=1, audit_topic=topic)
        await ensure_audit_topic(settings)
        await ensure_audit_topic(settings)
        async with KafkaAuditTrail(settings) as trail:
            yield trail

    async def test_what_is_no_entry_is_passed_over(self, trail: KafkaAuditTrail) -> None:
        await trail.record(denied(1))
        producer = await trail._connected()
        await producer.send_and_wait(trail._settings.audit_topic, b"not an entry", partition=0)
        await trail.record(denied(2))
        assert await trail.tail(10) == [denied(1), denied(2)]


async def test_a_broker_that_is_away_is_unavailable(unused_tcp_port: int) -> None:
    settings = KafkaSettings(brokers=f"127.0.0.1:{unused_tcp_port}")
    async with KafkaAuditTrail(settings) as trail:
        with pytest.raises(UnavailableError):
            await trail.record(denied(1))
        with pytest.raises(UnavailableError):
            await trail.tail(1)
