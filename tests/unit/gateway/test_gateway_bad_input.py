"""Bad input at the door: every kind is a problem, none is a 500, nothing is handed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from everlog.schemas.http import PROBLEM_JSON, PROBLEM_PREFIX
from everlog.schemas.limits import VALUE_BYTES
from support.door import World, knocking, message

JSON = {"Content-Type": "application/json"}
EVENTS = "/v1/sessions/rome-42/events"


@pytest.fixture
async def world() -> World:
    return World(body_bytes_max=2 * VALUE_BYTES)


@pytest.fixture
async def door(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.served() as app, knocking(app) as client:
        assert (await client.post("/v1/sessions", json={"id": "rome-42"})).status_code == 201
        yield client
        ends = [(await world.log.bounds(partition)).end for partition in range(4)]
        assert sum(ends) == 1, "something was handed over"


def refused(answer: httpx.Response, status: int, name: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM_JSON), answer.text
    body: dict[str, Any] = answer.json()
    assert body["type"] == PROBLEM_PREFIX + name, body
    return body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"type": "message.appended", "data": {"role": "\xff"}}',
        b'{"type": "a.b", "data": {"x": NaN}}',
        b'{"type": "a.b", "data": {}, "data": {}}',
        b'{"type": "app.thing.v1", "data": {"x": "\\ud800"}}',
        b'{"type": "app.thing.v1", "data": {"x": 9007199254740993}}',
        b'{"type": "app.thing.v1", "data": {"x": ' + b"9" * 5000 + b"}}",
        b'{"type": "app.thing.v1", "data": {"x": ' + b"[" * 40 + b"]" * 40 + b"}}",
        b'{"type": "app.thing.v1", "data": {"x": ' + b"[" * 100_000,
        b"null",
        b"[]",
        b'"text"',
        b"12",
        b"{}",
        b'{"type": "message.appended"}',
        b'{"type": 7, "data": {}}',
        b'{"type": "message.appended", "data": []}',
        b'{"type": "message.appended", "data": {"role": "user"}}',
        b'{"type": "message.appended", "data": {"role": "boss", "parts": [{"type": "text", "text": "x"}]}}',
        b'{"type": "message.appended", "data": {"role": "user", "parts": [{"type": "text", "text": 7}]}}',
        b'{"type": "message.appended", "data": {"role": "user", "parts": []}}',
        b'{"type": "state.patched", "data": {"set": {"": 1}}}',
        b'{"type": "message.erased", "data": {}}',
        b'{"type": "Bad Type", "data": {}}',
        b'{"type": "session.created", "data": {"owner": "ada"}}',
        b'{"type": "participant.joined", "data": {"role": ["owner"], "kind": "human"}}',
        b'{"type": "participant.joined", "data": {"participant": {"a": 1}, "kind": "human"}}',
        b'{"type": "participant.joined", "data": {"participant": "system:x", "kind": "human"}}',
        b'{"type": "a.b.c", "data": {}, "tenant": "other"}',
        b'{"type": "a.b.c", "data": {}, "expected_version": "1"}',
        b'{"type": "a.b.c", "data": {}, "expected_version": -1}',
        b'{"type": "a.b.c", "data": {}, "expected_version": 1.0}',
        b'{"type": "a.b.c", "data": {}, "expected_version": true}',
        b'{"type": "a.b.c", "data": {}, "id": "a/b"}',
        b'{"type": "a.b.c", "data": {}, "correlation_id": ""}',
        b'{"events": []}',
        b'{"events": [{"type": "session.closed", "data": {}}]}',
        b'{"events": [{"type": "batch.appended", "data": {"events": []}}]}',
        b'{"events": [{"type": "a.b.c", "data": {}, "id": "x"}]}',
        b'{"events": {}, "type": "a.b.c"}',
    ],
)
async def test_a_body_that_is_no_event_is_422(door: httpx.AsyncClient, body: bytes) -> None:
    refused(await door.post(EVENTS, content=body, headers=JSON), 422, "invalid-request")


async def test_wrong_fields_are_named_and_their_content_is_not_echoed(door: httpx.AsyncClient) -> None:
    data = {"role": "user", "parts": [{"type": "text", "text": {"secret": 1}}], "more": "secret"}
    body = refused(await door.post(EVENTS, json={"type": "message.appended", "data": data}), 422, "invalid-request")
    assert {error.split(":")[0] for error in body["errors"]} == {"parts.0.text", "more"}
    assert "secret" not in str(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"id": "a b"}',
        b'{"id": ""}',
        b'{"title": 7}',
        b'{"owner": "eve"}',
        b'{"labels": {"a": 1}}',
        b'{"labels": {"a b": "x"}}',
        b'{"state": []}',
        b'{"participants": [{"participant": "ada", "principal": "ada", "kind": "human"}]}',
        b'{"participants": [{"participant": "x", "principal": "x", "kind": "ghost"}]}',
    ],
)
async def test_a_body_that_is_no_session_is_422(door: httpx.AsyncClient, body: bytes) -> None:
    refused(await door.post("/v1/sessions", content=body, headers=JSON), 422, "invalid-request")


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": "2"},
        {"If-Match": "*"},
        {"If-Match": 'W/"2.1"'},
        {"If-Match": '"1.1", "2.1"'},
        {"If-Match": '"99999999999999999999"'},
        {"Idempotency-Key": ""},
        {"Idempotency-Key": "a b"},
        {"Idempotency-Key": "x" * 256},
        {"Everlog-Participant": "a/b"},
        {"Everlog-Lease-Epoch": "one"},
        {"Everlog-Lease-Epoch": "-1"},
        {"Everlog-Lease-Epoch": "9" * 30},
    ],
)
async def test_a_wrong_header_is_422(door: httpx.AsyncClient, headers: dict[str, str]) -> None:
    refused(await door.post(EVENTS, json=message(), headers=headers), 422, "invalid-request")


async def test_two_conditions_or_keys_that_differ_are_422(door: httpx.AsyncClient) -> None:
    body = message() | {"expected_version": 1, "id": "a"}
    refused(await door.post(EVENTS, json=body, headers={"If-Match": '"2.1"'}), 422, "invalid-request")
    refused(await door.post(EVENTS, json=body, headers={"Idempotency-Key": "b"}), 422, "invalid-request")


@pytest.mark.parametrize(
    "url",
    [
        "/v1/sessions/rome-42?min_version=0",
        "/v1/sessions/rome-42?min_version=x",
        "/v1/sessions/rome-42?at_version=" + "9" * 30,
        "/v1/sessions/rome-42?at_version=1&min_version=1",
        "/v1/sessions/rome-42?at_versoin=1",
        "/v1/sessions/rome-42/events?limit=0",
        "/v1/sessions/rome-42/events?limit=1001",
        "/v1/sessions/rome-42/events?after=-1",
        "/v1/sessions/rome-42/events?order=up",
        "/v1/sessions/rome-42/events?page=1",
        "/v1/sessions/rome-42/outcomes/x?after=one",
        "/v1/sessions/rome%2042",
        "/v1/sessions/" + "x" * 129,
        "/v1/sessions/rome-42%0A",
        "/v1/sessions/rome-42/outcomes/a%23b",
    ],
)
async def test_a_wrong_address_or_query_is_422(door: httpx.AsyncClient, url: str) -> None:
    refused(await door.get(url), 422, "invalid-request")


async def test_posts_take_no_query(door: httpx.AsyncClient) -> None:
    refused(await door.post(EVENTS + "?expected_version=1", json=message()), 422, "invalid-request")
    refused(await door.post("/v1/sessions?id=x", json={}), 422, "invalid-request")


async def test_a_body_that_is_not_said_to_be_json_is_415(door: httpx.AsyncClient) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = await door.post(EVENTS, content=b"{}", headers={"Content-Type": media_type})
        refused(answer, 415, "unsupported-media-type")


async def test_a_body_over_the_limit_is_413_whether_its_length_is_announced_or_not(door: httpx.AsyncClient) -> None:
    large = b'{"type": "a.b.c", "data": {"x": "' + b"x" * (3 * VALUE_BYTES) + b'"}}'
    announced = refused(await door.post(EVENTS, content=large, headers=JSON), 413, "limit-exceeded")
    assert announced["maximum"] == 2 * VALUE_BYTES

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(large), 65_536):
            yield large[at : at + 65_536]

    chunked = await door.post(EVENTS, content=pieces(), headers=JSON)
    assert refused(chunked, 413, "limit-exceeded")["maximum"] == 2 * VALUE_BYTES


async def test_an_event_over_the_limit_is_413_and_names_it(door: httpx.AsyncClient) -> None:
    body = refused(await door.post(EVENTS, json=message("x" * VALUE_BYTES)), 413, "limit-exceeded")
    assert (body["maximum"], body["limit"]) == (VALUE_BYTES, "an event in bytes")
    assert body["actual"] > VALUE_BYTES


@pytest.mark.parametrize("url", ["/", "/v1", "/v1/sessions/", "/v1/sessions/a/b/c", "/docs", "/v2/sessions"])
async def test_an_unknown_route_is_404(door: httpx.AsyncClient, url: str) -> None:
    refused(await door.get(url), 404, "no-such-route")


async def test_a_wrong_method_is_405_and_says_which_are_right(door: httpx.AsyncClient) -> None:
    answer = await door.delete(EVENTS)
    refused(answer, 405, "method-not-allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize("authorization", ["", "Bearer x", "Bearer a.b.c", "Basic YTpi"])
async def test_a_wrong_token_is_401_on_every_route(door: httpx.AsyncClient, authorization: str) -> None:
    headers = {"Authorization": authorization}
    for method, url in (
        ("POST", "/v1/sessions"),
        ("GET", "/v1/sessions/rome-42"),
        ("POST", EVENTS),
        ("GET", EVENTS),
        ("GET", "/v1/sessions/rome-42/outcomes/x"),
    ):
        answer = await door.request(method, url, headers=headers, json={} if method == "POST" else None)
        refused(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_role_that_only_reads_may_not_write(world: World) -> None:
    async with world.served() as app, knocking(app, role="viewer") as viewer:
        refused(await viewer.post("/v1/sessions", json={}), 403, "forbidden")
        refused(await viewer.post(EVENTS, json=message()), 403, "forbidden")


async def test_more_requests_at_once_than_allowed_are_503(world: World) -> None:
    tight = World(requests_max=1)
    async with tight.served() as app, knocking(app) as door:
        tight.projecting = False
        first = asyncio.create_task(door.post("/v1/sessions", json={"id": "a"}))
        await asyncio.wait({first}, timeout=0.1)
        answer = await door.get("/livez")
        refused(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        await tight.project()
        assert (await first).status_code == 201
