"""Lag is measured beside the batches, by what log and watermarks say."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from everlog.adapters.memory.log import MemoryLog
from everlog.domain.record import partition_of
from everlog.projector import lag
from everlog.projector.lag import LagMeter
from support.watched import Watch, away

KEY = "acme/rome"
PARTITION = partition_of(KEY.encode(), 4)
OTHER = (PARTITION + 1) % 4
SECONDS = "everlog_projector_lag_seconds"


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def shown(name: str, partition: int) -> float | None:
    return REGISTRY.get_sample_value(name, {"partition": str(partition)})


@pytest.fixture
async def log() -> MemoryLog:
    """A log with five events on one partition, of which the first two were trimmed."""
    log = MemoryLog(4)
    for _ in range(5):
        await log.append(KEY, b"{}")
    await log.delete_before(PARTITION, 2)
    return log


async def test_what_the_log_holds_and_what_is_not_folded_is_shown_by_partition(log: MemoryLog) -> None:
    await LagMeter(log, lambda: {PARTITION: 3, OTHER: 0}).measure()
    assert shown("everlog_log_start_offset", PARTITION) == 2
    assert shown("everlog_log_end_offset", PARTITION) == 5
    assert [shown("everlog_projector_lag_events", each) for each in (PARTITION, OTHER)] == [2, 0]


async def test_a_partition_that_was_revoked_is_shown_no_more(log: MemoryLog) -> None:
    clock, owned = Clock(), {PARTITION: 3, OTHER: 0}
    meter = LagMeter(log, lambda: dict(owned), clock)
    await meter.measure()
    clock.now_s += 5
    del owned[PARTITION]
    await meter.measure()
    for name in ("everlog_projector_lag_events", "everlog_log_start_offset", "everlog_log_end_offset"):
        assert (shown(name, PARTITION), shown(name, OTHER)) == (None, 0)
    assert REGISTRY.get_sample_value(SECONDS) == 0


async def test_the_seconds_run_only_while_records_wait_and_nothing_is_stored(log: MemoryLog) -> None:
    clock, owned = Clock(), {PARTITION: 5, OTHER: 0}
    meter = LagMeter(log, lambda: dict(owned), clock)

    async def seconds_after(pause_s: float) -> float | None:
        clock.now_s += pause_s
        await meter.measure()
        return REGISTRY.get_sample_value(SECONDS)

    assert await seconds_after(3600) == 0, "a quiet log is no lag"
    await log.append(KEY, b"{}")
    assert await seconds_after(1) == 0, "it has just come"
    assert await seconds_after(7) == 7
    await log.append(KEY, b"{}")
    owned[PARTITION] = 6
    assert await seconds_after(1) == 0, "a batch was stored, although one more waits"
    assert await seconds_after(3) == 3
    owned[PARTITION] = 7
    assert await seconds_after(3) == 0


async def test_a_log_that_is_away_is_measured_by_what_it_said_last(
    log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, failing = Clock(), set[str]()
    meter = LagMeter(away(failing).over(log), lambda: {PARTITION: 3}, clock)
    await meter.measure()
    failing.add("bounds")
    clock.now_s += 9
    await meter.measure()
    assert REGISTRY.get_sample_value(SECONDS) == 9

    async def hang(_: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(lag, "ASK_TIMEOUT_S", 0.001)
    await LagMeter(Watch(hang).over(log), lambda: {PARTITION: 3}, clock).measure()
