"""Parked sessions at the door: reads say so, appends are taken, who waits for a verdict goes on waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from everlog.client import Everlog, ParkedError
from everlog.domain.state import state_hash
from everlog.domain.stored import COLD, Parked, Stub
from everlog.domain.verdicts import PENDING
from everlog.gateway.verdicts import _Partition, _Waiting
from everlog.ports.hot import Outcomes
from everlog.ports.warm import SessionWrite
from everlog.schemas.http import PARTICIPANT_HEADER, PROBLEM_JSON
from support.door import World, knocking, message, token
from support.poison import SECRET, Poison

KEY = "acme/rome-42"
PATH = "/v1/sessions/rome-42"
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Poison:
    return Poison(monkeypatch)


@pytest.fixture
async def world(poison: Poison) -> World:
    return World(verdict_timeout_s=0.3)


@pytest.fixture
async def door(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """With one session that is at version 2 and parked at its third event."""
    async with knocking(app) as client:
        assert (await client.post("/v1/sessions", json={"id": "rome-42"})).status_code == 201
        assert (await client.post(f"{PATH}/events", json=message())).status_code == 201
        bad = await client.post(f"{PATH}/events", json=message("poison"))
        assert (bad.status_code, bad.json()["outcome"]) == (202, "pending")
        yield client


def parked(answer: httpx.Response, version: int = 2) -> dict[str, Any]:
    assert answer.status_code == 423, answer.text
    assert answer.headers["content-type"] == PROBLEM_JSON
    told: dict[str, Any] = answer.json()
    assert told["type"].endswith(":parked")
    assert (told["last_good_version"], told["reason"]) == (version, "ZeroDivisionError")
    assert SECRET not in answer.text
    return told


async def test_reads_say_where_and_why_it_is_parked_and_its_last_good_version(
    door: httpx.AsyncClient, world: World
) -> None:
    told = parked(await door.get(PATH))
    stored = (await world.warm.load([KEY]))[KEY].stored
    assert stored.parked is not None
    assert told["position"] == {"partition": stored.partition, "offset": stored.parked.offset}
    parked(await door.get(f"{PATH}/events"))
    parked(await door.get(PATH, params={"min_version": 3}))
    parked(await door.get(PATH, params={"at_version": 3}))
    parked(await door.get(f"{PATH}/outcomes/never-heard-of"))
    good = await door.get(PATH, params={"at_version": 2})
    assert (good.status_code, good.json()["version"]) == (200, 2)
    assert (await door.get(PATH, params={"at_version": 1})).json()["version"] == 1


async def test_other_sessions_do_not_notice(door: httpx.AsyncClient) -> None:
    assert (await door.post("/v1/sessions", json={"id": "bari"})).status_code == 201
    assert (await door.post("/v1/sessions/bari/events", json=message())).json()["version"] == 2
    assert (await door.get("/v1/sessions/bari")).json()["version"] == 2


async def test_appends_are_taken_also_of_participants(door: httpx.AsyncClient) -> None:
    for headers in ({}, ASYNC, {PARTICIPANT_HEADER: "ada"}):
        answer = await door.post(f"{PATH}/events", json=message("after"), headers=headers)
        assert (answer.status_code, answer.json()["outcome"]) == (202, "pending")


async def test_who_waits_through_a_redrive_gets_the_verdict(
    door: httpx.AsyncClient, world: World, poison: Poison
) -> None:
    waiting = asyncio.create_task(door.post(f"{PATH}/events", json=message("wait"), headers={"Prefer": "wait=5"}))
    async with asyncio.timeout(5):
        async with world.hot.subscribe() as outcomes:
            assert (await anext(aiter(outcomes))).packed == [PENDING]
        poison.cure()
        await world.redrive(KEY)
        answer = await waiting
    assert (answer.status_code, answer.json()["version"]) == (201, 4)
    assert (await door.get(PATH)).json()["version"] == 4
    found = await door.get(f"{PATH}/outcomes/{answer.json()['event_id']}")
    assert (found.status_code, found.json()["version"]) == (200, 4)


async def test_a_session_whose_creation_raises_has_no_good_version(door: httpx.AsyncClient) -> None:
    answer = await door.post("/v1/sessions", json={"id": "pisa", "title": "poison"})
    assert answer.status_code == 202
    parked(await door.get("/v1/sessions/pisa"), version=0)


async def test_a_hot_document_that_says_parked_is_not_believed_when_the_warm_one_goes_on(
    door: httpx.AsyncClient, world: World, poison: Poison
) -> None:
    poison.cure()
    held = dict(world.hot._held)
    await world.redrive(KEY)
    world.hot._held.clear()
    world.hot._held.update(held)
    answer = await door.get(PATH)
    assert (answer.status_code, answer.json()["version"], answer.headers["everlog-tier"]) == (200, 3, "warm")


async def evict(world: World) -> None:
    """The session is only a stub, and parked as cold at the event that came then."""
    loaded = (await world.warm.load([KEY]))[KEY]
    stored, state = loaded.stored, loaded.stored.state
    assert stored.parked is not None and state is not None
    stub = Stub(state.version, "active", {}, state_hash(state))
    cold = Parked(stored.parked.offset, COLD, stored.parked.seen)
    changed = msgspec.structs.replace(
        stored, state=None, stub=stub, parked=cold, timeline_from=3, revision=stored.revision + 1
    )
    await world.warm.write_sessions([SessionWrite(changed, loaded.base)])
    await world.hot.drop([KEY])


async def test_a_cold_session_is_read_from_history(door: httpx.AsyncClient, world: World, poison: Poison) -> None:
    poison.cure()
    await evict(world)
    answer = await door.get(PATH)
    assert (answer.status_code, answer.json()["version"], answer.headers["everlog-tier"]) == (200, 3, "cold")
    assert [event["version"] for event in (await door.get(f"{PATH}/events")).json()["events"]] == [1, 2, 3]


async def test_a_cold_session_whose_history_raises_is_parked(door: httpx.AsyncClient, world: World) -> None:
    await evict(world)
    parked(await door.get(PATH))
    assert (await door.get(PATH, params={"at_version": 2})).json()["version"] == 2


async def test_the_sdk_raises_what_an_operator_needs_to_know(door: httpx.AsyncClient, app: FastAPI) -> None:
    async with Everlog.connect("http://door", token=token(), transport=httpx.ASGITransport(app=app)) as log:
        with pytest.raises(ParkedError, match="redrive") as raised:
            await log.session("rome-42").state()
        assert (raised.value.version, raised.value.reason) == (2, "ZeroDivisionError")
        assert raised.value.offset == 2
        pending = await log.session("rome-42").append("message.appended", message()["data"], wait="durable")
        with pytest.raises(ParkedError):
            await pending.outcome()


async def test_a_late_single_outcome_clears_nothing_and_takes_the_place_of_the_pending_one() -> None:
    partition = _Partition()
    partition.add(Outcomes(0, 0, 0, [1, PENDING, 3]))
    partition.add(Outcomes(0, 0, 3, [4]))
    assert [partition.find(offset) for offset in range(5)] == [1, None, 3, 4, None]
    partition.add(Outcomes(0, 0, 1, [2]))
    partition.add(Outcomes(0, 0, 2, [PENDING]))
    assert [partition.find(offset) for offset in range(5)] == [1, 2, 3, 4, None]


async def test_who_is_told_pending_waits_on_and_the_warm_store_is_not_asked_about_it_again() -> None:
    partition = _Partition()
    waiting = _Waiting(asyncio.get_running_loop().create_future(), 0.0)
    partition.waiting[1] = [waiting]
    partition.tell(1, PENDING)
    assert partition.pending == {1} and not waiting.answer.done()
    partition.give_up(1, waiting)
    assert not partition.pending and not partition.waiting
