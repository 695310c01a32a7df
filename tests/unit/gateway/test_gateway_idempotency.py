"""Callers' own keys at the door: one event at most, the first answer again, or clear words; and the limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from everlog.adapters.memory.idempotency import MemoryIdempotencyStore
from everlog.domain.record import Headers, Position, partition_of
from everlog.gateway.identity import Identity
from everlog.gateway.keyed import FirstTries, OwnKey
from everlog.ports.idempotency import KEPT_S, RECORDED_AT_ONCE, FirstTry
from everlog.schemas.errors import UnavailableError, UnknownOutcomeError
from everlog.schemas.http import PROBLEM_PREFIX
from everlog.schemas.limits import RING_ACCEPTED
from support.door import IDENTITY, World, knocking, message
from support.events import value

KEY = "acme/rome-42"
EVENTS = "/v1/sessions/rome-42/events"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Cutting(World):
    """A world whose log is lost sight of, before or after an append."""

    def __init__(self) -> None:
        super().__init__()
        self.cut: str | None = None

    async def append(self, key: str, value: bytes, headers: Headers = ()) -> Position | None:
        if self.cut == "before":
            raise UnavailableError("Kafka", "away")
        position = await super().append(key, value, headers)
        if self.cut == "after":
            raise UnknownOutcomeError("Kafka", "no acknowledgement")
        return position

    async def others(self, count: int) -> None:
        """So many events of others."""
        said = [value("message.appended", message(f"m{n}")["data"], actor="ada") for n in range(count)]
        for raw in said:
            await self.log.append(KEY, raw, ())
        await self.project()

    async def own(self, event_id: str) -> int:
        """How often an event is in the timeline."""
        partition = partition_of(KEY.encode(), IDENTITY.partitions)
        end = (await self.log.bounds(partition)).end
        version = (await self.warm.load([KEY]))[KEY].stored.version
        assert end >= version
        found = 0
        for first in range(1, version + 1, 1000):
            entries = await self.warm.timeline(KEY, first, min(version, first + 999))
            found += sum(event_id.encode() in entry.value for entry in entries)
        return found

    async def records(self) -> int:
        """How many records lie on the log."""
        return sum([(await self.log.bounds(partition)).end for partition in range(IDENTITY.partitions)])


@pytest.fixture
async def world() -> Cutting:
    return Cutting()


@pytest.fixture
async def door(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with knocking(app) as client:
        assert (await client.post("/v1/sessions", json={"id": "rome-42", "state": {"a": 1}})).status_code == 201
        yield client


async def send(
    door: httpx.AsyncClient, text: str = "Hello", *, key: str = "k-1", path: str = EVENTS, **headers: str
) -> httpx.Response:
    return await door.post(path, json=message(text), headers={"Idempotency-Key": key, **headers})


def refused(answer: httpx.Response, status: int, name: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["type"]) == (status, PROBLEM_PREFIX + name), answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_key_with_another_body_is_refused_and_nothing_is_appended(
    world: Cutting, door: httpx.AsyncClient
) -> None:
    assert (await send(door)).status_code == 201
    before = await world.records()
    refused(await send(door, "Other"), 422, "idempotency-key-reused")
    refused(await send(door, **{"If-Match": '"2.1"'}), 422, "idempotency-key-reused")
    suspended = await door.post(
        EVENTS, json={"type": "session.suspended", "data": {}}, headers={"Idempotency-Key": "k-1"}
    )
    refused(suspended, 422, "idempotency-key-reused")
    assert await world.records() == before


async def test_a_quoted_key_is_the_same_key(door: httpx.AsyncClient) -> None:
    first, again = await send(door, key="k-1"), await send(door, key='"k-1"')
    assert first.json()["event_id"] == again.json()["event_id"]


async def test_keys_of_two_principals_and_of_two_sessions_do_not_clash(app: FastAPI, door: httpx.AsyncClient) -> None:
    joined = {"type": "participant.joined", "data": {"participant": "bob", "principal": "bob", "kind": "human"}}
    assert (await door.post(EVENTS, json=joined)).status_code == 201
    assert (await door.post("/v1/sessions", json={"id": "oslo-1"})).status_code == 201
    async with knocking(app, principal="bob") as bob:
        told = [
            await send(door, "one"),
            await send(bob, "two"),
            await send(door, "three", path="/v1/sessions/oslo-1/events"),
        ]
    assert [answer.status_code for answer in told] == [201, 201, 201]
    assert len({answer.json()["event_id"] for answer in told}) == 3


async def test_a_retry_says_on_the_log_that_it_is_one(world: Cutting, door: httpx.AsyncClient) -> None:
    world.cut = "before"
    refused(await send(door), 503, "unavailable")
    world.cut = None
    answer = await send(door)
    assert (answer.status_code, answer.json()["outcome"], answer.json()["version"]) == (201, "accepted", 2)
    (entry,) = await world.warm.timeline(KEY, 2, 2)
    assert b'"retry":true,"seenversion":1' in entry.value
    again = await send(door)
    assert (again.json()["outcome"], again.json()["version"]) == ("duplicate", 2)
    assert await world.records() == 2


@pytest.mark.parametrize("others", [0, RING_ACCEPTED, 1000])
async def test_a_try_that_landed_unseen_is_found_however_much_came_in_between(
    world: Cutting, door: httpx.AsyncClient, others: int
) -> None:
    world.cut = "after"
    first = await send(door, Prefer="wait=0")
    assert first.status_code == 202
    world.cut = None
    await world.others(others)
    await world.hot.at_epoch(1).drop([KEY])
    again = await send(door)
    assert (again.status_code, again.json()["outcome"], again.json()["version"]) == (201, "duplicate", 2)
    assert again.json()["event_id"] == first.json()["event_id"]
    assert await world.own(first.json()["event_id"]) == 1
    assert await world.records() == 2 + others


async def test_a_try_that_never_landed_has_expired_when_too_much_came_in_between(
    world: Cutting, door: httpx.AsyncClient
) -> None:
    world.cut = "before"
    await send(door)
    world.cut = None
    await world.others(RING_ACCEPTED + 1)
    refused(await send(door), 409, "retry-expired")
    await world.hot.at_epoch(1).drop([KEY])
    told = refused(await send(door), 409, "retry-expired")
    assert told["actual_version"] == RING_ACCEPTED + 2
    assert await world.own(told["event_id"]) == 0


async def test_a_retry_before_anything_was_projected_waits_for_the_log(world: Cutting, door: httpx.AsyncClient) -> None:
    world.projecting = False
    first = await send(door, Prefer="wait=0")
    again = await send(door, Prefer="wait=0")
    assert (first.status_code, again.status_code) == (202, 202)
    await world.project()
    third = await send(door)
    assert (third.json()["outcome"], third.json()["version"]) == ("duplicate", 2)
    assert await world.own(first.json()["event_id"]) == 1


async def test_a_refusal_is_repeated_as_it_was(world: Cutting, door: httpx.AsyncClient) -> None:
    for _ in range(2):
        told = refused(await send(door, **{"If-Match": '"9.1"'}), 412, "version-conflict")
        assert told["actual_version"] == 1
        await send(door, "another", key="k-2")
    assert await world.records() == 3


async def test_a_keyed_creation_is_one_session(door: httpx.AsyncClient, world: Cutting) -> None:
    keyed = {"Idempotency-Key": "new"}
    first = await door.post("/v1/sessions", json={"title": "Trip"}, headers=keyed)
    again = await door.post("/v1/sessions", json={"title": "Trip"}, headers=keyed)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["session"] == again.json()["session"]
    refused(await door.post("/v1/sessions", json={"title": "Other"}, headers=keyed), 422, "idempotency-key-reused")


class Away:
    """A control store that does not answer."""

    async def record(self, tries: Sequence[FirstTry]) -> list[FirstTry | None]:
        raise UnavailableError("MongoDB", "away")

    async def sweep(self, before_ms: int) -> int:
        raise UnavailableError("MongoDB", "away")


async def test_what_cannot_be_recorded_is_not_handed_over(world: Cutting) -> None:
    async with world.served(idempotency=Away()) as app, knocking(app) as door:
        assert (await door.post("/v1/sessions", json={"id": "rome-42"})).status_code == 201
        answer = await send(door)
        refused(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert await world.records() == 1
        assert (await door.post(EVENTS, json=message())).status_code == 201, "without a key it needs no record"


async def test_what_is_certain_is_refused_without_an_append(world: Cutting, door: httpx.AsyncClient) -> None:
    assert (await door.post(EVENTS, json=message("one"))).status_code == 201
    stale = refused(await door.post(EVENTS, json=message() | {"expected_version": 1}), 409, "version-conflict")
    assert (stale["actual_version"], [event["version"] for event in stale["events"]]) == (2, [2])
    patch = {"type": "state.patched", "data": {"set": {"a": 2}, "expected_keys": {"a": 1}}}
    assert (await door.post(EVENTS, json=patch)).status_code == 201
    clash = refused(await door.post(EVENTS, json=patch), 409, "key-conflict")
    assert (clash["keys"], [event["version"] for event in clash["events"]]) == (["a"], [2, 3])
    assert await world.records() == 3


async def test_a_second_creation_with_a_condition_is_told_at_once(world: Cutting, door: httpx.AsyncClient) -> None:
    refused(await door.post("/v1/sessions", json={"id": "rome-42"}), 409, "exists")


async def test_a_session_takes_so_many_appends_at_once(world: Cutting) -> None:
    world.settings = world.settings.model_copy(update={"session_appends_max": 3})
    async with world.served() as app, knocking(app) as door:
        assert (await door.post("/v1/sessions", json={"id": "rome-42"})).status_code == 201
        world.projecting = False
        waiting = [asyncio.create_task(door.post(EVENTS, json=message(f"m{n}"))) for n in range(3)]
        while await world.records() < 4:  # noqa: ASYNC110 (each pass lets the requests go on)
            await asyncio.sleep(0)
        busy = await door.post(EVENTS, json=message())
        refused(busy, 429, "rate-limited")
        assert busy.headers["retry-after"] == "1"
        world.projecting = True
        await world.project()
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {201}
        assert (await door.post(EVENTS, json=message())).status_code == 201


async def test_who_asks_too_often_is_told_when_to_come_back(world: Cutting) -> None:
    changes = {"principal_requests_per_s": 0.25, "principal_burst": 3}
    world.settings = world.settings.model_copy(update=changes)
    async with world.served() as app, knocking(app) as door, knocking(app, principal="bob") as bob:
        answers = [await door.get("/v1/sessions/none") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
        refused(answers[-1], 429, "rate-limited")
        assert answers[-1].headers["retry-after"] == "4"
        assert (await bob.get("/v1/sessions/none")).status_code == 404


class Counting(MemoryIdempotencyStore):
    """Counts its calls, and answers when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.may_answer = asyncio.Event()

    async def record(self, tries: Sequence[FirstTry]) -> list[FirstTry | None]:
        self.sizes.append(len(tries))
        await self.may_answer.wait()
        return await super().record(tries)


async def test_keys_that_come_while_others_are_recorded_are_recorded_together() -> None:
    store = Counting()
    tries = FirstTries(store, 5.0, lambda: NOW)
    asked = [asyncio.create_task(tries.record(f"k{n}", "e", b"d", n)) for n in range(RECORDED_AT_ONCE + 3)]
    late = asyncio.create_task(tries.record("k0", "e", b"d", 9))
    while not store.sizes:  # noqa: ASYNC110 (each pass lets the task go on)
        await asyncio.sleep(0)
    store.may_answer.set()
    assert await asyncio.gather(*asked) == [None] * len(asked)
    before = await late
    assert before is not None
    assert (before.seen_version, before.recorded_ms) == (0, round(NOW.timestamp() * 1000))
    assert sum(store.sizes) == len(asked) + 1
    assert len(store.sizes) == 2


async def test_a_store_that_does_not_answer_in_time_is_unavailable_to_everyone() -> None:
    tries = FirstTries(Counting(), 0.01, lambda: NOW)
    told = await asyncio.gather(*(tries.record(f"k{n}", "e", b"d", 0) for n in range(3)), return_exceptions=True)
    assert all(isinstance(one, UnavailableError) for one in told)


async def test_old_keys_are_swept() -> None:
    store = MemoryIdempotencyStore()
    await FirstTries(store, 5.0, lambda: NOW).record("old", "e", b"d", 0)
    sweeper = FirstTries(store, 5.0, lambda: NOW + timedelta(seconds=KEPT_S, milliseconds=1))
    sweeping = asyncio.create_task(sweeper.keep_swept())
    while store._tries:  # noqa: ASYNC110 (each pass lets the task go on)
        await asyncio.sleep(0)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    assert await sweeper.record("old", "e", b"other", 0) is None


def test_a_key_stands_for_the_same_event_at_every_try_and_for_no_other() -> None:
    ada = Identity("acme", "ada", "editor")
    places = [
        OwnKey(ada, "rome-42", "k"),
        OwnKey(ada, "oslo-1", "k"),
        OwnKey(ada, "/v1/sessions", "k"),
        OwnKey(ada, "v1", "sessions/k"),
        OwnKey(ada._replace(principal="bob"), "rome-42", "k"),
        OwnKey(ada._replace(tenant="other"), "rome-42", "k"),
    ]
    assert len({one.whole for one in places}) == len(places)
    assert len({one.event_id for one in places}) == len(places)
    assert places[0].event_id == OwnKey(ada, "rome-42", "k").event_id
