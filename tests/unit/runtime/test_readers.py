"""New rules wait for every reader; a reader that is too old does not start."""

from __future__ import annotations

import asyncio

import pytest

from everlog.adapters.memory.control import MemoryControlStore
from everlog.domain.law import UnknownRulesError
from everlog.ports.control import Reader
from everlog.runtime.readers import SILENT_S, announcing, enact
from everlog.schemas.errors import UnavailableError
from support.watched import Watch

NOW_MS = 1_790_000_000_000
DEADLINE_S = 5


def clock() -> int:
    return NOW_MS


@pytest.fixture
def control() -> MemoryControlStore:
    return MemoryControlStore()


async def test_a_reader_is_announced_as_long_as_it_reads(control: MemoryControlStore) -> None:
    async with announcing(control, "projector/a", clock, rules=3):
        assert await control.readers() == [Reader("projector/a", 3, NOW_MS)]
    assert await control.readers() == []


async def test_a_reader_announces_itself_again_and_again_also_after_a_failure(control: MemoryControlStore) -> None:
    announced: asyncio.Queue[str] = asyncio.Queue()
    failing: set[str] = set()

    async def heard(name: str) -> None:
        if name == "announce":
            announced.put_nowait(name)
        if name in failing:
            raise UnavailableError("the store", "away")

    watched = Watch(heard).over(control)
    async with announcing(watched, "projector/a", clock, interval_s=0.001), asyncio.timeout(DEADLINE_S):
        failing.add("announce")
        for _ in range(3):
            await announced.get()
        await control.withdraw("projector/a")
        failing.clear()
        for _ in range(3):
            await announced.get()
        assert [reader.name for reader in await control.readers()] == ["projector/a"]
        failing.add("withdraw")  # the store is away at the end, which is nobody's trouble


async def test_a_reader_does_not_start_under_rules_that_it_does_not_know(control: MemoryControlStore) -> None:
    await control.put_in_force(2)
    async with announcing(control, "projector/new", clock, rules=2):
        with pytest.raises(UnknownRulesError, match=r"the log is of rules 2, .* Upgrade") as refused:
            async with announcing(control, "projector/old", clock, rules=1):
                raise AssertionError("it has started")
        assert refused.value.exit_code == 4
        assert [reader.name for reader in await control.readers()] == ["projector/new"]


async def test_a_reader_that_meets_unknown_rules_is_refused_at_its_next_start(control: MemoryControlStore) -> None:
    with pytest.raises(UnknownRulesError):
        async with announcing(control, "projector/old", clock, rules=1):
            raise UnknownRulesError("offset 7 of partition 0", 2)
    assert await control.rules_in_force() == 2
    with pytest.raises(UnknownRulesError, match="the log is of rules 2"):
        async with announcing(control, "projector/old", clock, rules=1):
            raise AssertionError("it has started")


async def test_another_failure_says_nothing_about_rules(control: MemoryControlStore) -> None:
    with pytest.raises(UnavailableError):
        async with announcing(control, "projector/a", clock):
            raise UnavailableError("kafka", "away")
    assert (await control.rules_in_force(), await control.readers()) == (1, [])


async def test_rules_come_into_force_when_all_living_readers_know_them(control: MemoryControlStore) -> None:
    dead = Reader("projector/dead", 1, NOW_MS - int(SILENT_S * 1000) - 1)
    old, new = Reader("gateway/old", 1, NOW_MS - int(SILENT_S * 1000)), Reader("gateway/new", 2, NOW_MS)
    for reader in (dead, old, new):
        await control.announce(reader)
    assert await enact(control, 2, NOW_MS) == [old]
    assert await control.rules_in_force() == 1
    await control.withdraw(old.name)
    assert await enact(control, 2, NOW_MS) == []
    assert await control.rules_in_force() == 2


async def test_who_died_is_forgotten_when_the_next_one_starts(control: MemoryControlStore) -> None:
    await control.announce(Reader("projector/dead", 1, NOW_MS - int(SILENT_S * 1000) - 1))
    async with announcing(control, "projector/a", clock):
        assert [reader.name for reader in await control.readers()] == ["projector/a"]
