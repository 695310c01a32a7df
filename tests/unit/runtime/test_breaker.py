"""The circuit breaker: when it refuses, and that it lets exactly one probe through."""

from __future__ import annotations

import asyncio

import pytest

from everlog.runtime.breaker import Breaker, BreakerState
from everlog.schemas.errors import NotFoundError, UnavailableError


class Dependency:
    """Answers or fails as told; counts its calls."""

    def __init__(self) -> None:
        self.is_away = False
        self.calls = 0
        self.error: Exception | None = None

    async def ask(self) -> str:
        self.calls += 1
        if self.is_away:
            raise UnavailableError("it", "away")
        if self.error is not None:
            raise self.error
        return "answer"


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dependency() -> Dependency:
    return Dependency()


@pytest.fixture
def states() -> list[BreakerState]:
    return []


@pytest.fixture
def breaker(clock: Clock, states: list[BreakerState]) -> Breaker:
    return Breaker("it", clock, failures=3, window_s=10, pause_s=2, on_change=states.append)


async def fail(breaker: Breaker, dependency: Dependency, times: int) -> None:
    dependency.is_away = True
    for _ in range(times):
        with pytest.raises(UnavailableError):
            await breaker.call(dependency.ask)


async def test_a_working_dependency_is_always_asked(breaker: Breaker, dependency: Dependency) -> None:
    assert [await breaker.call(dependency.ask) for _ in range(3)] == ["answer"] * 3
    assert breaker.state is BreakerState.CLOSED


async def test_enough_failures_open_it_and_then_nobody_asks(breaker: Breaker, dependency: Dependency) -> None:
    await fail(breaker, dependency, 5)
    assert dependency.calls == 3
    assert breaker.state is BreakerState.OPEN


async def test_failures_that_are_far_apart_do_not_open_it(
    breaker: Breaker, dependency: Dependency, clock: Clock
) -> None:
    for _ in range(6):
        await fail(breaker, dependency, 1)
        clock.now_s += 6
    assert breaker.state is BreakerState.CLOSED


async def test_a_success_forgets_the_failures_before(breaker: Breaker, dependency: Dependency) -> None:
    await fail(breaker, dependency, 2)
    dependency.is_away = False
    await breaker.call(dependency.ask)
    await fail(breaker, dependency, 2)
    assert breaker.state is BreakerState.CLOSED


async def test_of_many_that_come_after_the_pause_exactly_one_probes(
    breaker: Breaker, dependency: Dependency, clock: Clock, states: list[BreakerState]
) -> None:
    await fail(breaker, dependency, 3)
    dependency.is_away, dependency.calls = False, 0
    clock.now_s += 2
    answered = asyncio.Event()

    async def slow() -> str:
        await answered.wait()
        return await dependency.ask()

    probe = asyncio.create_task(breaker.call(slow))
    await asyncio.sleep(0)
    for _ in range(50):
        with pytest.raises(UnavailableError):
            await breaker.call(dependency.ask)
    answered.set()
    assert await probe == "answer"
    assert (dependency.calls, breaker.state) == (1, BreakerState.CLOSED)
    assert states == [BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]


async def test_a_failed_probe_opens_it_for_another_pause(
    breaker: Breaker, dependency: Dependency, clock: Clock
) -> None:
    await fail(breaker, dependency, 3)
    clock.now_s += 2
    await fail(breaker, dependency, 2)
    assert (dependency.calls, breaker.state) == (4, BreakerState.OPEN)


async def test_a_cancelled_probe_decides_nothing(breaker: Breaker, dependency: Dependency, clock: Clock) -> None:
    await fail(breaker, dependency, 3)
    clock.now_s += 2
    probe = asyncio.create_task(breaker.call(asyncio.Event().wait))
    await asyncio.sleep(0)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    dependency.is_away = False
    assert await breaker.call(dependency.ask) == "answer"


async def test_an_answer_that_is_an_error_is_no_outage(breaker: Breaker, dependency: Dependency) -> None:
    dependency.error = NotFoundError("no such thing")
    for _ in range(5):
        with pytest.raises(NotFoundError):
            await breaker.call(dependency.ask)
    assert (dependency.calls, breaker.state) == (5, BreakerState.CLOSED)


async def test_a_late_success_from_before_does_not_close_it(breaker: Breaker, dependency: Dependency) -> None:
    answered = asyncio.Event()
    early = asyncio.create_task(breaker.call(answered.wait))
    await asyncio.sleep(0)
    await fail(breaker, dependency, 3)
    answered.set()
    await early
    assert breaker.state is BreakerState.OPEN
