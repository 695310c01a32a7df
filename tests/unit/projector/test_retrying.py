"""Calls are repeated within one deadline, and a dependency that is away is asked by one at a time."""

from __future__ import annotations

import time

import pytest
import stamina

from everlog.projector.retrying import Retries, one_deadline
from everlog.runtime.breaker import RefusedError
from everlog.schemas.errors import UnavailableError


@pytest.fixture(autouse=True)
def _retries_do_not_wait() -> None:
    """Here they do, unlike in the other tests of this room."""
    stamina.set_testing(False)


class Away:
    """A dependency that fails so often before it answers."""

    def __init__(self, failures: int) -> None:
        self.failures, self.calls = failures, 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise UnavailableError("mongodb", "away")
        return "here"


async def test_a_call_is_made_again_until_it_succeeds() -> None:
    away = Away(2)
    assert await Retries("mongodb")(away) == "here"
    assert away.calls == 3


async def test_the_calls_of_one_deadline_share_it() -> None:
    retries, away = Retries("mongodb", time.monotonic), Away(10**6)
    began_s = time.monotonic()
    with one_deadline(0.3):
        for _ in range(3):
            with pytest.raises(UnavailableError):
                await retries(away)
    assert time.monotonic() - began_s < 3, "three calls took longer than one deadline and a pause each"
    assert away.calls >= 2


async def test_a_deadline_within_another_does_not_extend_it() -> None:
    began_s = time.monotonic()
    with one_deadline(0.2), one_deadline(60.0), pytest.raises(UnavailableError):
        await Retries("mongodb")(Away(10**6))
    assert time.monotonic() - began_s < 3


async def test_what_is_not_a_failure_of_the_dependency_is_raised_at_once() -> None:
    async def wrong() -> None:
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        await Retries("mongodb")(wrong)


async def test_after_three_failures_the_dependency_is_left_alone() -> None:
    retries, away = Retries("mongodb"), Away(10**6)
    for _ in range(3):
        with one_deadline(0.0), pytest.raises(UnavailableError):
            await retries(away)
    assert away.calls == 3
    with one_deadline(0.0), pytest.raises(RefusedError):
        await retries(away)
    assert away.calls == 3
