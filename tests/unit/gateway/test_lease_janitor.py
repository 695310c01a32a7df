"""What nobody holds any more is revoked, once, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from everlog.adapters.memory.heartbeats import MemoryHeartbeats
from everlog.gateway import janitor
from everlog.ports.heartbeats import Counts, Lease
from everlog.schemas.errors import UnavailableError
from support.door import message
from support.leasing import SESSION, TTL_S, House, house
from support.poison import Poison
from support.waiting import until

GRACE_S = 30
KEY = "acme/rome-42"


@pytest.fixture
async def door() -> AsyncIterator[House]:
    async with house() as door:
        yield door


async def sweep(door: House) -> int:
    return await door.services.janitor.sweep()


async def test_a_lapsed_lease_that_nobody_takes_over_is_revoked_after_the_grace(door: House) -> None:
    planner = await door.mad()
    await planner.acquire()
    run = {"type": "run.started", "data": {"run": "r-1", "agent": "planner"}}
    assert (await planner.client.post(f"{SESSION}/events", json=run, headers=planner.headers)).status_code == 201
    await door.go_on(TTL_S + 1)
    assert await sweep(door) == 0
    await door.go_on(GRACE_S)
    assert await sweep(door) == 1
    last = (await door.events())[-1]
    assert (last["type"], last["actor"]) == ("everlog.lease.revoked.v1", "system:gateway")
    assert last["data"] == {"participant": "planner", "epoch": planner.epoch, "reason": "no heartbeat"}
    state = await door.state()
    assert (await door.epoch_of(), state.open.runs) == (None, [])
    assert await door.heartbeats.counts() == Counts(0, 0)
    assert await sweep(door) == 0


async def test_a_holder_that_is_alive_keeps_its_lease(door: House) -> None:
    planner = await door.mad()
    await planner.acquire()
    await door.go_on(TTL_S + GRACE_S + 10, planner)
    assert await sweep(door) == 0
    assert await door.epoch_of() == planner.epoch


async def test_two_that_sweep_at_once_revoke_once(door: House) -> None:
    planner = await door.mad()
    await planner.acquire()
    await door.go_on(TTL_S + GRACE_S + 1)
    before = (await door.state()).version
    revoked = await asyncio.gather(sweep(door), sweep(door))
    assert sum(revoked) >= 1
    assert (await door.state()).version == before + 1


async def test_what_the_log_has_freed_or_given_to_another_is_only_forgotten(door: House) -> None:
    planner, critic = await door.mad(), await door.mad("critic", "mad-2")
    await planner.acquire()
    await critic.acquire()
    assert (await door.owner.post(f"{SESSION}/suspend")).status_code == 201
    assert await door.heartbeats.counts() == Counts(2, 0)
    await door.go_on(TTL_S + GRACE_S + 1)
    version = (await door.state()).version
    assert await sweep(door) == 0
    assert await door.heartbeats.counts() == Counts(0, 0)
    assert (await door.state()).version == version


async def test_what_the_hot_store_lost_is_revoked_once_it_is_known_again(door: House) -> None:
    planner = await door.mad()
    await planner.acquire()
    door.heartbeats.lose_everything()
    await door.go_on(TTL_S + GRACE_S + 1)
    assert await sweep(door) == 0
    assert (await planner.beat()).status_code == 200
    await door.go_on(TTL_S + GRACE_S + 1)
    assert await sweep(door) == 1


async def test_nothing_is_revoked_while_silence_does_not_count(door: House) -> None:
    planner = await door.mad()
    await planner.acquire()
    door.clock.forward(TTL_S + GRACE_S + 1)  # this process stood still
    assert await sweep(door) == 0
    assert await door.heartbeats.counts() == Counts(0, 1)
    await door.go_on(TTL_S + 1)
    assert await sweep(door) == 1


async def test_a_lease_of_no_session_or_of_a_parked_one_is_forgotten(
    door: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.heartbeats.beat(Lease("acme/nowhere", "planner", 2), TTL_S)
    planner = await door.mad()
    await planner.acquire()
    await door.go_on(TTL_S + GRACE_S + 1)
    Poison(monkeypatch)
    door.world.projecting = False
    answer = await door.owner.post(f"{SESSION}/events", json=message("poison"), headers={"Prefer": "wait=0"})
    assert answer.status_code == 202
    await door.world.project()
    assert await sweep(door) == 0
    assert await door.heartbeats.counts() == Counts(0, 0)


async def test_a_revocation_that_is_not_judged_in_time_is_tried_again(
    door: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "VERDICT_TIMEOUT_S", 0.05)
    planner = await door.mad()
    await planner.acquire()
    await door.go_on(TTL_S + GRACE_S + 1)
    door.world.projecting = False
    assert await sweep(door) == 0
    assert await door.heartbeats.counts() == Counts(0, 1)
    door.world.projecting = True
    await door.world.project()
    assert await door.epoch_of() is None
    await sweep(door)
    assert await door.heartbeats.counts() == Counts(0, 0)


async def test_it_counts_leases_and_takes_its_turn(door: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitor, "PERIOD_S", 0.001)
    for name, principal in (("planner", "mad-1"), ("critic", "mad-2")):
        mad = await door.mad(name, principal)
        await mad.acquire()
    await door.go_on(TTL_S + GRACE_S + 1, mad)
    running = asyncio.create_task(door.services.janitor.run())
    registry = door.services.metrics.registry

    async def is_done() -> bool:
        counted = registry.get_sample_value("everlog_leases", {"state": "alive"}) == 1
        return counted and await door.epoch_of() is None

    await until(is_done)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await door.epoch_of("critic") is not None


class Flaky(MemoryHeartbeats):
    """Fails at first."""

    calls = 0

    async def counts(self) -> Counts:
        self.calls += 1
        if self.calls == 1:
            raise UnavailableError("Redis", "away")
        return await super().counts()


async def test_it_goes_on_when_the_hot_store_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitor, "PERIOD_S", 0.001)
    flaky = Flaky()

    async with house(heartbeats=flaky):
        await until(lambda: flaky.calls > 2)
