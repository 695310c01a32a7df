"""What a service refuses to start with, and what it says."""

from __future__ import annotations

import pytest

from everlog.adapters.memory.control import MemoryControlStore
from everlog.adapters.memory.log import MemoryLog
from everlog.ports.control import Generation
from everlog.ports.log import LogIdentity
from everlog.runtime.admission import check_generation, check_log, refuse_filled_log
from everlog.schemas.errors import ConflictError, ControlLostError, LogLostError, NotFoundError


async def no_views() -> None:
    """There are no views that nobody remembers."""


async def orphaned_views() -> None:
    raise ControlLostError("the control database is empty, but views holds watermarks_g1")


@pytest.fixture
async def control() -> MemoryControlStore:
    """What remembers a log of four partitions."""
    control = MemoryControlStore()
    await control.initialise(await MemoryLog(4).identity())
    return control


async def test_the_log_of_the_beginning_is_admitted(control: MemoryControlStore) -> None:
    log = MemoryLog(4)
    await log.append("acme/rome", b"{}")
    assert await check_log(log, control, no_views) == await log.identity()


@pytest.mark.parametrize(
    ("other", "told", "hint"),
    [
        (MemoryLog(4, era=1), ("era 1 of", "made from era 0 of"), "EVERLOG_KAFKA__ERA=0"),
        (MemoryLog(4, topic="else"), ("topic else", "topic everlog.events"), "EVERLOG_KAFKA__TOPIC=everlog.events"),
        (MemoryLog(4, cluster_id="c2"), ("cluster c2", "cluster memory"), "EVERLOG_KAFKA__BROKERS"),
        (MemoryLog(8), ("with 8 partitions", "with 4 partitions"), "new era"),
    ],
)
async def test_another_log_is_refused_and_both_are_named(
    control: MemoryControlStore, other: MemoryLog, told: tuple[str, str], hint: str
) -> None:
    with pytest.raises(LogLostError) as refused:
        await check_log(other, control, no_views)
    assert all(words in refused.value.message for words in told), refused.value.message
    assert hint in refused.value.hint
    assert refused.value.exit_code == 4


async def test_before_init_nothing_starts() -> None:
    with pytest.raises(NotFoundError, match="everlog init"):
        await check_log(MemoryLog(4), MemoryControlStore(), no_views)


async def test_an_empty_control_store_beside_filled_views_is_refused() -> None:
    with pytest.raises(ControlLostError, match="watermarks_g1"):
        await check_log(MemoryLog(4), MemoryControlStore(), orphaned_views)


@pytest.mark.parametrize("is_trimmed", [False, True])
async def test_an_empty_control_store_beside_a_log_that_ever_held_events_is_refused(is_trimmed: bool) -> None:
    log = MemoryLog(4)
    place = await log.append("acme/rome", b"{}")
    if is_trimmed:
        await log.delete_before(place.partition, 1)
    for refusing in (check_log(log, MemoryControlStore(), no_views), refuse_filled_log(log, MemoryControlStore())):
        with pytest.raises(ControlLostError, match=f"holds events .partitions {place.partition}.") as refused:
            await refusing
        assert "restore it from its backup" in refused.value.hint
        assert refused.value.exit_code == 4


async def test_a_filled_log_that_is_remembered_and_an_empty_one_are_no_reason(control: MemoryControlStore) -> None:
    log = MemoryLog(4)
    await refuse_filled_log(log, MemoryControlStore())
    await log.append("acme/rome", b"{}")
    await refuse_filled_log(log, control)


def test_a_generation_must_exist_and_be_of_the_codes_fold_version() -> None:
    known = [Generation(1, 3), Generation(2, 4)]
    check_generation(known, 2, fold_version=4)
    with pytest.raises(NotFoundError, match="no generation 7, only 1, 2"):
        check_generation(known, 7, fold_version=4)
    with pytest.raises(NotFoundError, match="only none"):
        check_generation([], 1)
    with pytest.raises(ConflictError, match="generation 1 is of fold version 3, this code folds version 4") as refused:
        check_generation(known, 1, fold_version=4)
    assert refused.value.exit_code == 4


def test_a_log_is_told_in_words() -> None:
    assert str(LogIdentity("c1", "events", 2, 4)) == "era 2 of topic events with 4 partitions on Kafka cluster c1"
