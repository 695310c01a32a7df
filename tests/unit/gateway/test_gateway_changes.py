"""Sessions created under a chosen id, changed as a whole, and the terms of an append, each wrong one refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from everlog.schemas.http import PROBLEM_JSON, PROBLEM_PREFIX
from support.door import knocking, message

HERE = "/v1/sessions/rome-42"
EVENTS = f"{HERE}/events"
NEW = {"If-None-Match": "*"}


def refused(answer: httpx.Response, status: int, name: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM_JSON), answer.text
    told: dict[str, Any] = answer.json()
    assert told["type"] == PROBLEM_PREFIX + name
    return told


@pytest.fixture
async def session(door: httpx.AsyncClient) -> httpx.AsyncClient:
    """The door, with a session at version 1."""
    body = {"title": "Trip", "labels": {"team": "a", "kind": "b"}, "state": {"city": "Rome", "draft": 1}}
    assert (await door.put(HERE, json=body, headers=NEW)).status_code == 201
    return door


async def test_a_session_is_put_once(door: httpx.AsyncClient) -> None:
    first = await door.put(HERE, json={"title": "Trip"}, headers=NEW)
    assert (first.status_code, first.headers["location"], first.headers["etag"]) == (201, HERE, '"1.1"')
    assert (first.json()["session"], first.json()["version"]) == ("rome-42", 1)
    again = await door.put(HERE, json={"id": "rome-42", "title": "Trip"}, headers=NEW)
    assert (again.status_code, again.json()["outcome"]) == (200, "duplicate")
    refused(await door.put(HERE, json={"title": "Other"}, headers=NEW), 409, "exists")
    posted = await door.post("/v1/sessions", json={"id": "rome-42", "title": "Trip"})
    assert posted.status_code == 200, "both ways create the same session"


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": '"1.1"'}, {"If-None-Match": ""}])
async def test_a_put_that_might_replace_is_refused(door: httpx.AsyncClient, headers: dict[str, str]) -> None:
    refused(await door.put(HERE, json={}, headers=headers), 428, "condition-required")
    refused(await door.get(HERE), 404, "not-found")


async def test_a_put_with_another_id_in_its_body_is_refused(door: httpx.AsyncClient) -> None:
    refused(await door.put(HERE, json={"id": "oslo-1"}, headers=NEW), 422, "invalid-request")


async def test_title_labels_and_state_change_together_as_one_version(session: httpx.AsyncClient) -> None:
    change = {
        "title": None,
        "labels": {"team": "c", "kind": None},
        "state": {"set": {"city": "Oslo"}, "unset": ["draft"], "expected_keys": {"city": 1}},
    }
    answer = await session.patch(HERE, json=change)
    assert (answer.status_code, answer.json()["version"], answer.headers["etag"]) == (201, 2, '"2.1"')
    state = (await session.get(HERE)).json()
    assert (state["version"], state["title"], state["labels"], state["state"]) == (
        2,
        None,
        {"team": "c"},
        {"city": "Oslo"},
    )


@pytest.mark.parametrize(
    ("change", "type_name", "data"),
    [
        ({"title": "New"}, "session.metadata_updated", {"title": "New"}),
        ({"labels": {"team": None}}, "session.metadata_updated", {"labels": {"team": None}}),
        ({"state": {"set": {"a": None}}}, "state.patched", {"set": {"a": None}}),
        ({"state": {}}, "state.patched", {}),
    ],
)
async def test_one_kind_of_change_is_one_plain_event(
    session: httpx.AsyncClient, change: dict[str, Any], type_name: str, data: dict[str, Any]
) -> None:
    assert (await session.patch(HERE, json=change)).status_code == 201
    (event,) = (await session.get(EVENTS, params={"after": 1})).json()["events"]
    assert (event["type"], event["data"]) == (f"everlog.{type_name}.v1", data)


async def test_a_change_on_a_stale_version_says_what_came_in_between(session: httpx.AsyncClient) -> None:
    assert (await session.post(EVENTS, json=message("one"))).status_code == 201
    change = {"title": "New"}
    for told in (
        refused(await session.patch(HERE, json=change, headers={"If-Match": '"1.1"'}), 412, "version-conflict"),
        refused(await session.patch(HERE, json=change, params={"expected_version": 1}), 409, "version-conflict"),
    ):
        assert (told["actual_version"], [event["version"] for event in told["events"]]) == (2, [2])
    both = await session.patch(HERE, json=change, params={"expected_version": 1}, headers={"If-Match": '"2.1"'})
    refused(both, 422, "invalid-request")
    fine = await session.patch(HERE, json=change, params={"expected_version": 2}, headers={"If-Match": '"2.1"'})
    assert fine.json()["version"] == 3


async def test_a_change_of_stale_keys_names_them_and_changes_nothing(session: httpx.AsyncClient) -> None:
    assert (await session.patch(HERE, json={"state": {"set": {"city": "Oslo"}}})).status_code == 201
    change = {"title": "New", "state": {"set": {"city": "Bari"}, "expected_keys": {"city": 1, "draft": 1}}}
    told = refused(await session.patch(HERE, json=change), 409, "key-conflict")
    assert (told["keys"], [event["version"] for event in told["events"]]) == (["city"], [2])
    assert (await session.get(HERE)).json()["title"] == "Trip"


async def test_the_events_in_between_are_at_most_a_hundred_and_64_kib(session: httpx.AsyncClient) -> None:
    for number in range(104):
        assert (await session.post(EVENTS, json=message(f"m{number}"))).status_code == 201
    told = refused(
        await session.patch(HERE, json={"title": "a"}, params={"expected_version": 1}), 409, "version-conflict"
    )
    assert (told["actual_version"], len(told["events"])) == (105, 100)
    large = message("x" * 30_000)
    for _ in range(3):
        assert (await session.post(EVENTS, json=large)).status_code == 201
    answer = await session.patch(HERE, json={"title": "a"}, params={"expected_version": 105})
    assert [event["version"] for event in answer.json()["events"]] == [106, 107]
    assert len(answer.content) < 64 * 1024


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": 7},
        {"labels": []},
        {"state": []},
        {"state": {"put": {}}},
        {"owner": "bob"},
        [],
        {"state": None},
    ],
)
async def test_what_is_no_change_is_422(session: httpx.AsyncClient, body: Any) -> None:
    refused(await session.patch(HERE, json=body), 422, "invalid-request")


async def test_a_keyed_change_is_made_once(session: httpx.AsyncClient) -> None:
    keyed = {"Idempotency-Key": "k-1"}
    first = await session.patch(HERE, json={"title": "New"}, headers=keyed)
    again = await session.patch(HERE, json={"title": "New"}, headers=keyed)
    assert (first.json()["outcome"], again.json()["outcome"], again.json()["version"]) == ("accepted", "duplicate", 2)
    refused(await session.patch(HERE, json={"title": "Other"}, headers=keyed), 422, "idempotency-key-reused")
    refused(await session.post(EVENTS, json=message(), headers=keyed), 422, "idempotency-key-reused")


@pytest.mark.parametrize(
    "headers",
    [
        {"Everlog-Participant": "a b"},
        {"Everlog-Participant": "x" * 129},
        {"Everlog-Lease-Epoch": "-1"},
        {"Everlog-Lease-Epoch": "1.5"},
        {"Everlog-Lease-Epoch": ""},
        {"Everlog-Lease-Epoch": "9" * 17},
        {"Everlog-Lease-Epoch": "9" * 5000},
        {"Idempotency-Key": "a b"},
        {"Idempotency-Key": "x" * 256},
        {"Idempotency-Key": '""'},
        {"If-Match": "*"},
        {"If-Match": 'W/"1.1"'},
    ],
)
@pytest.mark.parametrize("method", ["post", "patch"])
async def test_wrong_terms_are_422_whichever_route_reads_them(
    session: httpx.AsyncClient, method: str, headers: dict[str, str]
) -> None:
    place, body = (EVENTS, message()) if method == "post" else (HERE, {"title": "New"})
    refused(await session.request(method, place, json=body, headers=headers), 422, "invalid-request")
    assert (await session.get(HERE)).json()["version"] == 1


async def test_an_append_is_refused_as_every_route_refuses(app: FastAPI, session: httpx.AsyncClient) -> None:
    refused(await session.post(EVENTS, json=message(), params={"x": 1}), 422, "invalid-request")
    refused(await session.post("/v1/sessions/a%20b/events", json=message()), 422, "invalid-request")
    refused(
        await session.post(EVENTS, json=message(), headers={"Authorization": "Bearer wrong"}), 401, "unauthenticated"
    )
    put = await session.put(EVENTS, json=message())
    refused(put, 405, "method-not-allowed")
    assert "POST" in put.headers["allow"]
    async with knocking(app, role="viewer") as viewer:
        refused(await viewer.post(EVENTS, json=message()), 403, "forbidden")
        refused(await viewer.patch(HERE, json={"title": "New"}), 403, "forbidden")
        refused(await viewer.put("/v1/sessions/new", json={}, headers=NEW), 403, "forbidden")
