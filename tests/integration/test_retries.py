"""A retry after a cut connection, whatever happened in between: one event, and the first answer or `retry-expired`.

Also what the door says while nothing is projected: it waits or says so, and never that something is not there.
"""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
import redis.asyncio

from everlog.local.ports import HOST
from everlog.local.stack import Addresses
from support.fault_proxy import FaultProxy, Way
from support.served import Served, message, served, timeline
from support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

OTHERS = 1000
AT_ONCE = 50
HALF_A_REQUEST_BYTES = 300
ASYNC = {"Prefer": "respond-async"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(services: Addresses, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    settings = {"GATEWAY__READ_TIMEOUT_S": 1, "GATEWAY__PRINCIPAL_REQUESTS_PER_S": 10_000}
    async with served(services, tmp_path_factory.mktemp("retries"), **settings) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def owner(stage: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with stage.client("ada") as client:
        yield client


async def created(owner: httpx.AsyncClient) -> str:
    """A new session at version 1."""
    session = f"s-{uuid.uuid4().hex[:8]}"
    assert (await owner.post("/sessions", json={"id": session})).status_code == 201
    return session


async def others(owner: httpx.AsyncClient, session: str) -> None:
    """A thousand other events."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with places:
            answer = await owner.post(f"/sessions/{session}/events", json=message(f"other {number}"))
            assert answer.status_code == 201, answer.text

    await asyncio.gather(*map(one, range(OTHERS)))


async def flush_redis(services: Addresses) -> None:
    async with redis.asyncio.Redis.from_url(services.redis) as client:
        await client.flushall()


@pytest.mark.parametrize("with_others", [False, True], ids=["quiet", "a thousand events"])
@pytest.mark.parametrize("flushed", [False, True], ids=["redis kept", "redis flushed"])
@pytest.mark.parametrize("cut", [Way.TO_SERVER, Way.TO_CLIENT], ids=["cut before", "cut after"])
async def test_a_retry_never_makes_a_second_event(
    stage: Served, owner: httpx.AsyncClient, services: Addresses, cut: Way, flushed: bool, with_others: bool
) -> None:
    session, text = await created(owner), f"only once {uuid.uuid4()}"
    path, body = f"/sessions/{session}/events", message(text) | {"id": "mine"}
    async with FaultProxy(HOST, stage.port) as proxy, stage.client("ada", port=proxy.port) as cut_off:
        proxy.cut(cut, HALF_A_REQUEST_BYTES if cut is Way.TO_SERVER else 1)
        with pytest.raises(httpx.TransportError):
            await cut_off.post(path, json=body)
        await proxy.heal()
        if with_others:
            await others(owner, session)
        if flushed:
            await flush_redis(services)
        told = [await cut_off.post(path, json=body) for _ in range(2)]
    version = 2 + (OTHERS if with_others else 0)
    if cut is Way.TO_CLIENT:
        expected = [("duplicate", 2), ("duplicate", 2)]
    else:  # the door saw nothing of the first try, so the second is the first
        expected = [("accepted", version), ("duplicate", version)]
    assert [(answer.json()["outcome"], answer.json()["version"]) for answer in told] == expected
    events = await timeline(owner, session, version)
    assert [event["event_id"] for event in events if text in str(event["data"])] == [told[0].json()["event_id"]]


async def test_two_principals_with_the_same_key_do_not_clash(stage: Served, owner: httpx.AsyncClient) -> None:
    session = f"s-{uuid.uuid4().hex[:8]}"
    members = [{"participant": "bob", "principal": "bob", "kind": "human"}]
    assert (await owner.post("/sessions", json={"id": session, "participants": members})).status_code == 201
    async with stage.client("bob") as bob:
        told = [
            await client.post(f"/sessions/{session}/events", json=message(text), headers={"Idempotency-Key": "k"})
            for client, text in ((owner, "one"), (bob, "two"))
        ]
    assert [answer.json()["version"] for answer in told] == [2, 3]


async def test_while_nothing_is_projected_nothing_is_said_to_be_missing(
    stage: Served, owner: httpx.AsyncClient
) -> None:
    session = f"s-{uuid.uuid4().hex[:8]}"
    here, events = f"/sessions/{session}", f"/sessions/{session}/events"
    stage.projector.send_signal(signal.SIGSTOP)
    try:
        new = await owner.put(here, json={"title": "Trip"}, headers={**ASYNC, "If-None-Match": "*"})
        assert new.status_code == 202, new.text
        pending = [
            await owner.post(events, json=message("one"), headers=ASYNC),
            await owner.post(events, json=message("two") | {"id": "keyed"}, headers={"Prefer": "wait=1"}),
            await owner.post(events, json=message("two") | {"id": "keyed"}, headers=ASYNC),
            await owner.patch(here, json={"title": "Rome"}, headers=ASYNC),
            await owner.patch(here, json={"state": {"set": {"a": 1}, "expected_keys": {"a": 0}}}, headers=ASYNC),
            await owner.patch(here, json={"labels": {"team": "x"}}, headers={**ASYNC, "If-Match": '"5.1"'}),
        ]
        assert {answer.status_code for answer in pending} == {202}, [answer.text for answer in pending]
        reads = [
            await owner.get(here),
            await owner.get(events),
            await owner.get(here, params={"min_version": 2}),
            await owner.get(pending[0].headers["location"].removeprefix("/v1")),
            await owner.post(events, json=message(), headers={"Everlog-Participant": "ada"}),
        ]
        assert {answer.status_code for answer in reads} == {503}, [answer.text for answer in reads]
        assert all(answer.headers["retry-after"] for answer in reads)
    finally:
        stage.projector.send_signal(signal.SIGCONT)
    for answer, version in zip(pending, [2, 3, 3, 4, 5, 6], strict=True):
        location = answer.headers["location"].removeprefix("/v1")
        await until(lambda at=location: _is_known(owner, at), timeout_s=60, what="the outcome")  # type: ignore[misc]
        assert (await owner.get(location)).json()["version"] == version
    state = (await owner.get(here, params={"min_version": 6})).json()
    assert (state["title"], state["labels"], state["state"]) == ("Rome", {"team": "x"}, {"a": 1})


async def _is_known(client: httpx.AsyncClient, location: str) -> bool:
    return (await client.get(location)).status_code == 200
