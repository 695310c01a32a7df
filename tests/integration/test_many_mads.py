"""Fifty MADs at one session, each with a lease and an HTTP connection of its own, against the real services."""

from __future__ import annotations

import asyncio
import random
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import pytest_asyncio

from everlog.local.stack import Addresses
from support.served import Served, message, served, timeline

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

MADS = 50
APPENDS = 100
"""Of each MAD."""
PATCHES = 20
WRITES = 5
"""Of each MAD, all to one key."""
DEADLINE_S = 60.0
LEASE_S = 600
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0


class Mad:
    """An agent with a connection and a lease."""

    def __init__(self, name: str, client: httpx.AsyncClient, session: str) -> None:
        self.name, self.session, self._client = name, session, client
        self._headers: dict[str, str] = {}

    async def acquire(self) -> None:
        """Acquire its lease."""
        answer = await self._client.put(
            f"/sessions/{self.session}/participants/{self.name}/lease", json={"ttl_s": LEASE_S}
        )
        assert answer.status_code == 201, answer.text
        self._headers = {"Everlog-Lease-Epoch": str(answer.json()["epoch"])}

    async def append(self, event: dict[str, Any]) -> httpx.Response:
        """Append an event under its lease."""
        return await self._client.post(f"/sessions/{self.session}/events", json=event, headers=self._headers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(services: Addresses, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with served(services, tmp_path_factory.mktemp("many")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def mads(stage: Served) -> AsyncIterator[list[Mad]]:
    """Fifty in one new session, all with leases: it is at version 51."""
    session = f"s-{uuid.uuid4().hex[:8]}"
    names = [f"mad-{number}" for number in range(MADS)]
    members = [{"participant": name, "principal": name, "kind": "agent"} for name in names]
    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(stage.client("ada"))
        created = await owner.post("/sessions", json={"id": session, "participants": members, "state": {"count": 0}})
        assert created.status_code == 201, created.text
        clients = [await stack.enter_async_context(stage.client(name)) for name in names]
        everyone = [Mad(name, client, session) for name, client in zip(names, clients, strict=True)]
        await asyncio.gather(*(mad.acquire() for mad in everyone))
        yield everyone


def figures(**told: float) -> None:
    """Say what was measured; ``pytest -s`` shows it."""
    sys.stdout.write("  ".join(f"{name}={value:.10g}" for name, value in told.items()) + "\n")


async def test_five_thousand_appends_of_fifty_mads_are_all_accepted_once(stage: Served, mads: list[Mad]) -> None:
    async def speak(mad: Mad) -> list[int]:
        versions = []
        for number in range(APPENDS):
            answer = await mad.append(message(f"{mad.name} says {number}"))
            assert answer.status_code == 201, answer.text
            versions.append(answer.json()["version"])
        return versions

    began_s = time.monotonic()
    told = await asyncio.gather(*map(speak, mads))
    seconds = time.monotonic() - began_s
    figures(seconds=seconds, appends_per_s=MADS * APPENDS / seconds)
    versions = [version for each in told for version in each]
    first = 1 + MADS + 1
    assert sorted(versions) == list(range(first, first + MADS * APPENDS))
    assert all(each == sorted(each) for each in told)
    async with stage.client("ada") as owner:
        events = await timeline(owner, mads[0].session, max(versions))
    assert [event["version"] for event in events] == list(range(1, first + MADS * APPENDS))
    texts = [event["data"]["parts"][0]["text"] for event in events[first - 1 :]]
    assert len(set(texts)) == len(texts) == MADS * APPENDS
    assert seconds < DEADLINE_S


async def test_writes_to_different_keys_never_conflict(mads: list[Mad]) -> None:
    async def write(mad: Mad) -> None:
        version = 0
        for number in range(PATCHES):
            data = {"set": {mad.name: number}, "expected_keys": {mad.name: version}}
            answer = await mad.append({"type": "state.patched", "data": data})
            assert answer.status_code == 201, answer.text
            version = answer.json()["version"]

    began_s = time.monotonic()
    await asyncio.gather(*map(write, mads))
    figures(seconds=time.monotonic() - began_s, patches=MADS * PATCHES, rejected=0)


async def test_writes_to_one_key_all_succeed_and_each_rejection_says_what_came_in_between(
    stage: Served, mads: list[Mad]
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    figures(seed=seed)
    chance = random.Random(seed)
    attempts = 0

    async def add(mad: Mad, version: int, value: int) -> tuple[int, int]:
        """Add one to the count; its version and value then."""
        nonlocal attempts
        pause_s = FIRST_PAUSE_S
        while True:
            attempts += 1
            data = {"set": {"count": value + 1}, "expected_keys": {"count": version}}
            answer = await mad.append({"type": "state.patched", "data": data})
            if answer.status_code == 201:
                return answer.json()["version"], value + 1
            told = answer.json()
            assert (answer.status_code, told["keys"]) == (409, ["count"]), answer.text
            between = [event["version"] for event in told["events"]]
            assert between == list(range(version + 1, version + 1 + len(between)))
            assert between[-1] == told["actual_version"]
            last = [event for event in told["events"] if "count" in event["data"].get("set", {})][-1]
            version, value = last["version"], last["data"]["set"]["count"]
            await asyncio.sleep(chance.uniform(0, pause_s))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def count(mad: Mad) -> None:
        version, value = 1, 0
        for _ in range(WRITES):
            version, value = await add(mad, version, value)

    began_s = time.monotonic()
    await asyncio.gather(*map(count, mads))
    seconds = time.monotonic() - began_s
    figures(seconds=seconds, successes=MADS * WRITES, attempts_per_success=attempts / (MADS * WRITES))
    async with stage.client("ada") as owner:
        state = (await owner.get(f"/sessions/{mads[0].session}", params={"min_version": 1})).json()
    assert state["state"] == {"count": MADS * WRITES}
