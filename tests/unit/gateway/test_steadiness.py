"""Silence counts only while somebody could have heard it."""

from __future__ import annotations

import asyncio

import pytest

from everlog.adapters.memory.heartbeats import MemoryHeartbeats
from everlog.gateway import steadiness
from everlog.gateway.steadiness import GAP_S, Steadiness
from everlog.schemas.errors import UnavailableError
from support.time_travel import Clock
from support.waiting import until


class Away(MemoryHeartbeats):
    """A store that answers while it is not away."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False

    async def incarnation(self) -> str:
        if self.is_away:
            raise UnavailableError("Redis", "away")
        return await super().incarnation()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Away:
    return Away()


@pytest.fixture
def watch(store: Away, clock: Clock) -> Steadiness:
    return Steadiness(store, clock.monotonic_s)


async def go_on(watch: Steadiness, clock: Clock, seconds: float) -> float:
    """Look every few seconds for so long."""
    while seconds > 0:
        clock.forward(min(seconds, GAP_S - 1))
        seconds -= GAP_S - 1
        await watch.steady_s()
    return await watch.steady_s()


async def test_it_counts_from_the_first_look(watch: Steadiness, clock: Clock) -> None:
    assert await watch.steady_s() == 0
    assert 60 <= await go_on(watch, clock, 60) < 61


async def test_a_loss_begins_anew(watch: Steadiness, clock: Clock, store: Away) -> None:
    await go_on(watch, clock, 60)
    store.lose_everything()
    assert await watch.steady_s() == 0
    assert 20 <= await go_on(watch, clock, 20) < 21


async def test_a_time_without_an_answer_begins_anew(watch: Steadiness, clock: Clock, store: Away) -> None:
    await go_on(watch, clock, 60)
    store.is_away = True
    with pytest.raises(UnavailableError):
        await watch.steady_s()
    store.is_away = False
    assert await watch.steady_s() == 0


async def test_a_time_in_which_this_process_stood_still_begins_anew(watch: Steadiness, clock: Clock) -> None:
    await go_on(watch, clock, 60)
    clock.forward(GAP_S + 1)
    assert await watch.steady_s() == 0


async def test_it_goes_on_looking_while_the_store_is_away(
    watch: Steadiness, store: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steadiness, "LOOK_PERIOD_S", 0.001)
    store.is_away = True
    running = asyncio.create_task(watch.run())
    await asyncio.wait({running}, timeout=0.02)
    assert not running.done()
    store.is_away = False

    async def is_steady() -> bool:
        return await watch.steady_s() >= 0.01

    await until(is_steady, what="the store is looked at again")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
