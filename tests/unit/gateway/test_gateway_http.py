"""The door over the stores in memory: answers as the interface says them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from everlog.domain.stored import Stub
from everlog.gateway.live import Tiers
from everlog.ports.warm import SessionWrite
from everlog.schemas.errors import UnavailableError, UnknownOutcomeError
from everlog.schemas.http import PROBLEM_JSON, PROBLEM_PREFIX, AppendAnswer, Problem, StateAnswer, TimelinePage
from support.door import World, knocking, message


async def create(door: httpx.AsyncClient, session: str = "rome-42", **fields: Any) -> httpx.Response:
    answer = await door.post("/v1/sessions", json={"id": session, **fields})
    assert answer.status_code == 201, answer.text
    return answer


async def append(door: httpx.AsyncClient, text: str = "Hello", session: str = "rome-42", **fields: Any) -> AppendAnswer:
    answer = await door.post(f"/v1/sessions/{session}/events", json=message(text) | fields)
    assert answer.status_code == 201, answer.text
    return AppendAnswer.model_validate(answer.json())


def problem(answer: httpx.Response, status: int, name: str) -> Problem:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM_JSON
    told = Problem.model_validate(answer.json())
    assert (told.status, told.type) == (status, PROBLEM_PREFIX + name)
    assert told.trace_id
    return told


async def test_a_created_session_can_be_read(door: httpx.AsyncClient) -> None:
    answer = await create(door, title="Trip to Rome", labels={"team": "support"}, state={"city": "Rome"})
    assert answer.headers["location"] == "/v1/sessions/rome-42"
    assert answer.headers["etag"] == '"1.1"'
    assert answer.json()["session"] == "rome-42"
    read = await door.get("/v1/sessions/rome-42")
    assert (read.headers["etag"], read.headers["everlog-tier"]) == ('"1.1"', "hot")
    state = StateAnswer.model_validate(read.json())
    assert (state.tenant, state.owner, state.version, state.status) == ("acme", "ada", 1, "active")
    assert (state.title, state.labels, state.state) == ("Trip to Rome", {"team": "support"}, {"city": "Rome"})
    assert state.key_versions == {"city": 1}
    assert [entry.participant for entry in state.participants] == ["ada"]


async def test_the_same_creation_again_is_200_and_another_is_409(door: httpx.AsyncClient) -> None:
    await create(door, title="Trip")
    again = await door.post("/v1/sessions", json={"id": "rome-42", "title": "Trip"})
    assert (again.status_code, again.json()["outcome"], again.json()["version"]) == (200, "duplicate", 1)
    problem(await door.post("/v1/sessions", json={"id": "rome-42", "title": "Other"}), 409, "exists")


async def test_a_session_without_an_id_gets_one_and_a_retry_with_the_same_key_gets_the_same(
    door: httpx.AsyncClient,
) -> None:
    first = await door.post("/v1/sessions", json={})
    other = await door.post("/v1/sessions", json={})
    assert first.json()["session"] != other.json()["session"]
    keyed = [await door.post("/v1/sessions", json={}, headers={"Idempotency-Key": "k-1"}) for _ in range(2)]
    assert keyed[0].json()["session"] == keyed[1].json()["session"]
    assert [answer.status_code for answer in keyed] == [201, 200]


async def test_an_append_is_answered_with_version_etag_and_position(door: httpx.AsyncClient) -> None:
    await create(door)
    answer = await door.post("/v1/sessions/rome-42/events", json=message())
    assert (answer.status_code, answer.headers["etag"]) == (201, '"2.1"')
    body = answer.json()
    assert (body["outcome"], body["version"]) == ("accepted", 2)
    assert set(body["position"]) == {"era", "partition", "offset"}


async def test_a_retry_gets_the_first_answer(door: httpx.AsyncClient) -> None:
    await create(door)
    first = await append(door, id="mine-1")
    again = await append(door, id="mine-1")
    header = await door.post("/v1/sessions/rome-42/events", json=message(), headers={"Idempotency-Key": "mine-1"})
    assert (again.outcome, again.version, again.event_id) == ("duplicate", first.version, first.event_id)
    assert header.json()["event_id"] == first.event_id != "mine-1"
    reused = await door.post("/v1/sessions/rome-42/events", json=message("Other") | {"id": "mine-1"})
    problem(reused, 422, "idempotency-key-reused")


async def test_a_stale_expected_version_is_refused_with_what_came_in_between(door: httpx.AsyncClient) -> None:
    await create(door)
    await append(door, "one")
    await append(door, "two")
    refused = await door.post("/v1/sessions/rome-42/events", json=message() | {"expected_version": 1})
    told = refused.json()
    problem(refused, 409, "version-conflict")
    assert (told["actual_version"], [event["version"] for event in told["events"]]) == (3, [2, 3])
    assert told["events"][0]["data"]["parts"][0]["text"] == "one"
    matched = await door.post("/v1/sessions/rome-42/events", json=message(), headers={"If-Match": '"1.1"'})
    assert problem(matched, 412, "version-conflict").status == 412
    fine = await door.post("/v1/sessions/rome-42/events", json=message(), headers={"If-Match": '"3.1"'})
    assert fine.json()["version"] == 4


async def test_clashing_keys_are_named(door: httpx.AsyncClient) -> None:
    await create(door, state={"city": "Rome"})
    patch = {"type": "state.patched", "data": {"set": {"city": "Oslo"}, "expected_keys": {"city": 1}}}
    assert (await door.post("/v1/sessions/rome-42/events", json=patch)).status_code == 201
    refused = await door.post("/v1/sessions/rome-42/events", json=patch)
    problem(refused, 409, "key-conflict")
    assert (refused.json()["keys"], refused.json()["actual_version"]) == (["city"], 2)
    assert [event["version"] for event in refused.json()["events"]] == [2]


async def test_a_batch_is_one_version(door: httpx.AsyncClient) -> None:
    await create(door)
    batch = {"events": [message("one"), {"type": "state.patched", "data": {"set": {"a": 1}}}]}
    answer = await door.post("/v1/sessions/rome-42/events", json=batch)
    assert (answer.status_code, answer.json()["version"]) == (201, 2)
    page = (await door.get("/v1/sessions/rome-42/events?after=1")).json()
    assert page["events"][0]["type"] == "everlog.batch.appended.v1"
    assert [inner["type"] for inner in page["events"][0]["data"]["events"]] == [
        "everlog.message.appended.v1",
        "everlog.state.patched.v1",
    ]


async def test_pages_lead_through_the_timeline_both_ways(door: httpx.AsyncClient) -> None:
    await create(door)
    for number in range(6):
        await append(door, f"m{number}")
    seen: list[int] = []
    url: str | None = "/v1/sessions/rome-42/events?limit=3"
    while url:
        answer = await door.get(url)
        page = TimelinePage.model_validate(answer.json())
        seen += [event.version for event in page.events]
        url = answer.links["next"]["url"] if "next" in answer.links else None
        assert (url is None) == (page.next is None)
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    newest = (await door.get("/v1/sessions/rome-42/events?limit=2&order=desc")).json()
    assert ([event["version"] for event in newest["events"]], newest["next"]) == ([7, 6], "6")
    older = (await door.get("/v1/sessions/rome-42/events?limit=9&order=desc&after=6")).json()
    assert ([event["version"] for event in older["events"]], older["next"]) == ([5, 4, 3, 2, 1], None)
    beyond = (await door.get("/v1/sessions/rome-42/events?after=99")).json()
    assert beyond == {"events": [], "next": None}


async def test_pages_that_are_no_longer_hot_or_warm_are_the_same(world: World, door: httpx.AsyncClient) -> None:
    await create(door)
    for number in range(70):
        await append(door, f"m{number}")
    key = "acme/rome-42"
    whole = await door.get("/v1/sessions/rome-42/events?limit=1000")
    assert whole.headers["everlog-tier"] == "warm"
    assert (await door.get("/v1/sessions/rome-42/events?after=40")).headers["everlog-tier"] == "hot"
    await world.hot.at_epoch(1).drop([key])
    await world.warm.delete_timeline(key, 1, 60)
    cold = await door.get("/v1/sessions/rome-42/events?limit=1000")
    assert cold.headers["everlog-tier"] == "cold"
    assert cold.json() == whole.json()


async def test_an_unchanged_state_is_304(door: httpx.AsyncClient) -> None:
    await create(door)
    tag = (await door.get("/v1/sessions/rome-42")).headers["etag"]
    unchanged = await door.get("/v1/sessions/rome-42", headers={"If-None-Match": f'"0.1", W/{tag}'})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["everlog-tier"]) == (304, b"", "hot")
    await append(door)
    assert (await door.get("/v1/sessions/rome-42", headers={"If-None-Match": tag})).status_code == 200


async def test_a_past_version_is_read_from_history(door: httpx.AsyncClient) -> None:
    await create(door, state={"n": 1})
    await door.post("/v1/sessions/rome-42/events", json={"type": "state.patched", "data": {"set": {"n": 2}}})
    old = await door.get("/v1/sessions/rome-42?at_version=1")
    assert (old.headers["everlog-tier"], old.json()["state"], old.json()["version"]) == ("cold", {"n": 1}, 1)
    now = await door.get("/v1/sessions/rome-42?at_version=2")
    assert (now.headers["everlog-tier"], now.json()["state"]) == ("hot", {"n": 2})
    problem(await door.get("/v1/sessions/rome-42?at_version=3"), 404, "not-found")


async def test_reading_at_least_a_version_waits_for_it(world: World, door: httpx.AsyncClient) -> None:
    await create(door)
    world.projecting = False
    pending = await door.post("/v1/sessions/rome-42/events", json=message(), headers={"Prefer": "respond-async"})
    assert pending.status_code == 202
    reading = asyncio.create_task(door.get("/v1/sessions/rome-42?min_version=2"))
    await asyncio.wait({reading}, timeout=0.05)
    assert not reading.done()
    await world.project()
    assert (await reading).json()["version"] == 2


async def test_a_version_that_does_not_come_in_time_is_503_and_says_what_there_is(door: httpx.AsyncClient) -> None:
    await create(door)
    answer = await door.get("/v1/sessions/rome-42?min_version=9")
    problem(answer, 503, "not-yet")
    assert (answer.json()["actual_version"], answer.headers["retry-after"]) == (1, "1")


async def test_a_202_names_where_the_outcome_will_be(world: World, door: httpx.AsyncClient) -> None:
    await create(door)
    world.projecting = False
    pending = await door.post("/v1/sessions/rome-42/events", json=message(), headers={"Prefer": "wait=0"})
    body = pending.json()
    assert (pending.status_code, body["outcome"], body["version"]) == (202, "pending", None)
    location = pending.headers["location"]
    assert location == f"/v1/sessions/rome-42/outcomes/{body['event_id']}?after=1"
    problem(await door.get(location), 503, "unavailable")
    await world.project()
    told = (await door.get(location)).json()
    assert (told["outcome"], told["version"], told["event_id"]) == ("accepted", 2, body["event_id"])


async def test_outcomes_are_found_in_rejections_and_behind_the_ring(door: httpx.AsyncClient) -> None:
    await create(door)
    first = await append(door)
    refused = await door.post("/v1/sessions/rome-42/events", json=message() | {"expected_version": 9})
    for number in range(300):
        await append(door, f"m{number}")
    old = (await door.get(f"/v1/sessions/rome-42/outcomes/{first.event_id}?after=1")).json()
    assert (old["outcome"], old["version"]) == ("accepted", 2)
    rejected = (await door.get(f"/v1/sessions/rome-42/outcomes/{refused.json()['event_id']}")).json()
    assert (rejected["outcome"], rejected["version"], rejected["actual_version"]) == ("version_conflict", None, 2)
    problem(await door.get("/v1/sessions/rome-42/outcomes/never"), 404, "outcome-unknown")
    problem(await door.get("/v1/sessions/none/outcomes/never"), 404, "outcome-unknown")


async def test_a_verdict_whose_message_is_lost_is_asked_for(world: World, door: httpx.AsyncClient) -> None:
    world.publishing = False
    await create(door)
    assert (await append(door)).version == 2


async def test_an_unknown_session_is_404_only_when_all_was_seen(world: World, door: httpx.AsyncClient) -> None:
    problem(await door.get("/v1/sessions/none"), 404, "not-found")
    problem(await door.get("/v1/sessions/none/events"), 404, "not-found")
    problem(await door.post("/v1/sessions/none/events", json=message()), 404, "not-found")
    world.projecting = False
    body = {"id": "rome-42"}
    assert (await door.post("/v1/sessions", json=body, headers={"Prefer": "wait=0"})).status_code == 202
    answer = await door.get("/v1/sessions/rome-42")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    await world.project()
    assert (await door.get("/v1/sessions/rome-42")).status_code == 200


async def test_a_session_that_left_the_hot_store_is_read_warm(world: World, door: httpx.AsyncClient) -> None:
    await create(door)
    await world.control.begin_hot_epoch(1, 1, "")
    await world.hot.at_epoch(1).drop(["acme/rome-42"])
    assert (await door.get("/v1/sessions/rome-42")).headers["everlog-tier"] == "warm"


async def test_a_damaged_warm_document_is_rebuilt_from_history(world: World, door: httpx.AsyncClient) -> None:
    await create(door, title="Trip")
    await world.hot.at_epoch(1).drop(["acme/rome-42"])
    world.warm.damage("acme/rome-42")
    answer = await door.get("/v1/sessions/rome-42")
    assert (answer.headers["everlog-tier"], answer.json()["title"]) == ("cold", "Trip")


async def test_outcomes_are_found_though_the_warm_document_is_damaged(world: World, door: httpx.AsyncClient) -> None:
    await create(door, title="Trip")
    said = (await append(door)).event_id
    refused = (await door.post("/v1/sessions/rome-42/events", json=message() | {"expected_version": 9})).json()
    await world.hot.at_epoch(1).drop(["acme/rome-42"])
    world.warm.damage("acme/rome-42")
    assert (await door.get(f"/v1/sessions/rome-42/outcomes/{said}")).json()["version"] == 2
    told = (await door.get(f"/v1/sessions/rome-42/outcomes/{refused['event_id']}")).json()
    assert told["outcome"] == "version_conflict"


async def test_a_session_that_is_only_a_stub_is_shown_from_history(world: World, door: httpx.AsyncClient) -> None:
    await create(door, title="Trip")
    await append(door)
    before = (await door.get("/v1/sessions/rome-42")).json(), (await door.get("/v1/sessions/rome-42/events")).json()
    key = "acme/rome-42"
    loaded = (await world.warm.load([key]))[key]
    stub = Stub(2, "active", {}, "hash")
    stored = msgspec.structs.replace(
        loaded.stored, state=None, stub=stub, revision=loaded.stored.revision + 1, timeline_from=3
    )
    await world.warm.write_sessions([SessionWrite(stored, loaded.base)])
    await world.warm.delete_timeline(key, 1, 2)
    await world.hot.at_epoch(1).drop([key])
    state, page = await door.get("/v1/sessions/rome-42"), await door.get("/v1/sessions/rome-42/events")
    assert (state.json(), page.json()) == before
    assert (state.headers["everlog-tier"], page.headers["everlog-tier"]) == ("cold", "cold")


async def test_another_tenant_sees_nothing(app: FastAPI, door: httpx.AsyncClient) -> None:
    await create(door)
    async with knocking(app, tenant="other") as stranger:
        problem(await stranger.get("/v1/sessions/rome-42"), 404, "not-found")
        problem(await stranger.post("/v1/sessions/rome-42/events", json=message()), 404, "not-found")
        assert (await stranger.post("/v1/sessions", json={"id": "rome-42"})).status_code == 201


async def test_a_principal_joins_as_itself_and_acts_as_its_participants(app: FastAPI, door: httpx.AsyncClient) -> None:
    await create(door)
    async with knocking(app, principal="bob") as bob:
        problem(await bob.post("/v1/sessions/rome-42/events", json=message()), 403, "forbidden")
        joined = {"type": "participant.joined", "data": {"kind": "human"}}
        as_guide = {"Everlog-Participant": "guide"}
        assert (await bob.post("/v1/sessions/rome-42/events", json=joined, headers=as_guide)).status_code == 201
        assert (await bob.post("/v1/sessions/rome-42/events", json=message(), headers=as_guide)).status_code == 201
        problem(await bob.post("/v1/sessions/rome-42/events", json=joined, headers=as_guide), 409, "already-open")
    problem(await door.post("/v1/sessions/rome-42/events", json=message(), headers=as_guide), 403, "forbidden")
    events = (await door.get("/v1/sessions/rome-42/events?after=1")).json()["events"]
    assert [event["actor"] for event in events] == ["bob", "guide"]
    assert events[0]["data"]["principal"] == "bob"


async def test_nobody_joins_above_its_role_or_lets_others_in_without_governing(
    app: FastAPI, door: httpx.AsyncClient
) -> None:
    await create(door)
    other = {"participant": "eve", "principal": "eve", "kind": "human", "role": "editor"}
    async with knocking(app, principal="bob") as bob:
        for data in ({"kind": "human", "role": "owner"}, other):
            body = {"type": "participant.joined", "data": data}
            problem(await bob.post("/v1/sessions/rome-42/events", json=body), 403, "forbidden")
    allowed = await door.post("/v1/sessions/rome-42/events", json={"type": "participant.joined", "data": other})
    assert allowed.status_code == 201


async def test_a_lease_epoch_that_is_not_held_is_fenced(door: httpx.AsyncClient) -> None:
    await create(door)
    headers = {"Everlog-Lease-Epoch": "7"}
    problem(await door.post("/v1/sessions/rome-42/events", json=message(), headers=headers), 409, "fenced")


async def test_a_closed_session_takes_nothing_more(door: httpx.AsyncClient) -> None:
    await create(door)
    closed = await door.post("/v1/sessions/rome-42/events", json={"type": "session.closed", "data": {}})
    assert closed.status_code == 201
    problem(await door.post("/v1/sessions/rome-42/events", json=message()), 409, "closed")


class Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def append(self, *_: Any) -> None:
        raise self.error


async def test_nothing_handed_over_is_503_and_perhaps_handed_over_is_202(world: World) -> None:
    away = Failing(UnavailableError("Kafka", "secret-broker:9092"))
    async with world.served(appender=away) as app, knocking(app) as door:
        answer = await door.post("/v1/sessions", json={"id": "a"})
        assert problem(answer, 503, "unavailable").detail == "Kafka does not answer in time"
        assert answer.headers["retry-after"] == "1"
    unsure = Failing(UnknownOutcomeError("Kafka", "no answer"))
    async with world.served(appender=unsure) as app, knocking(app) as door:
        answer = await door.post("/v1/sessions", json={"id": "a"}, headers={"Prefer": "wait=1"})
        assert (answer.status_code, answer.json()["outcome"], answer.json()["position"]) == (202, "pending", None)


class NoHot:
    async def get(self, key: str) -> None:
        raise UnavailableError("Redis", "away")

    tail = get

    def subscribe(self) -> Any:
        raise UnavailableError("Redis", "away")


async def test_without_redis_reads_and_verdicts_come_from_warm(world: World) -> None:
    async with world.served(open_tiers=lambda live: Tiers(NoHot(), world.warm)) as app, knocking(app) as door:  # type: ignore[arg-type]
        await create(door)
        assert (await append(door)).version == 2
        assert (await door.get("/v1/sessions/rome-42")).headers["everlog-tier"] == "warm"
        assert (await door.get("/v1/sessions/rome-42/events")).headers["everlog-tier"] == "warm"
        assert (await door.get("/readyz?verbose")).json()["checks"]["redis"] is False


async def test_a_swallowed_bug_is_a_500_without_its_text(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with world.served(appender=Failing(RuntimeError("secret"))) as app, knocking(app) as door:
        answer = await door.post("/v1/sessions", json={"id": "a"})
        problem(answer, 500, "internal")
        assert "secret" not in answer.text
        assert "secret" in caplog.text


async def test_probes_and_metrics_need_no_token(app: FastAPI, door: httpx.AsyncClient) -> None:
    await create(door)
    await append(door)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://door") as nobody:
        assert (await nobody.get("/livez")).json() == {"status": "alive"}
        assert (await nobody.get("/readyz")).json() == {"status": "ready"}
        checks = (await nobody.get("/readyz?verbose")).json()["checks"]
        assert checks == {"kafka": True, "mongo": True, "redis": True, "background": True, "draining": False}
        problem(await nobody.get("/v1/sessions/rome-42"), 401, "unauthenticated")
        text = (await nobody.get("/metrics")).text
        assert 'everlog_verdicts_total{verdict="accepted"} 2.0' in text
        assert 'everlog_http_seconds_count{code="201",route="/v1/sessions/{session}/events"} 1.0' in text
        assert "everlog_auth_denials_total 1.0" in text
        assert "rome-42" not in text
        app.state.services.health.is_draining = True
        problem(await nobody.get("/readyz"), 503, "unavailable")


async def test_the_openapi_document_describes_every_route_and_its_problems(door: httpx.AsyncClient) -> None:
    document = (await door.get("/openapi.json")).json()
    assert {"EventRequest", "BatchRequest", "AppendAnswer", "StateAnswer", "Problem"} <= set(
        document["components"]["schemas"]
    )
    operation = document["paths"]["/v1/sessions/{session}/events"]["post"]
    assert {"201", "202", "401", "403", "404", "409", "412", "413", "422", "503"} <= set(operation["responses"])
    assert PROBLEM_JSON in operation["responses"]["422"]["content"]
    references = {
        part.split('"')[0] for part in (await door.get("/openapi.json")).text.split('"#/components/schemas/')[1:]
    }
    assert references <= set(document["components"]["schemas"])
