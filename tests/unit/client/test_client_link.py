"""Calls: retries where they are safe, pauses as asked for, one deadline, tokens that are renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import httpx
import pytest

from everlog.client import (
    Everlog,
    FencedError,
    LeaseHeldError,
    Message,
    NotFoundError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
    UnknownOutcomeError,
    text,
)
from everlog.schemas.errors import ConfigurationError
from everlog.schemas.http import PROBLEM_PREFIX

STATE = {
    "tenant": "acme", "session": "a", "version": 1, "status": "active", "title": None, "labels": {}, "owner": "ada",
    "participants": [], "state": {}, "key_versions": {}, "usage": {},
    "open": {"runs": [], "tool_calls": [], "interrupts": []}, "created_at": "", "updated_at": "",
}  # fmt: skip
DONE = {"event_id": "e", "outcome": "accepted", "version": 2, "position": None}
HELLO = Message(role="user", parts=[text("Hello")])


class Script(httpx.AsyncBaseTransport):
    """Answers requests one after the other as a script says; its last line holds for all that follow."""

    def __init__(self, *lines: httpx.Response | Exception | Callable[[httpx.Request], Awaitable[httpx.Response]]):
        self.lines = list(lines)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        line = self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]
        if isinstance(line, Exception):
            raise line
        if isinstance(line, httpx.Response):
            return httpx.Response(line.status_code, headers=line.headers, content=line.content)
        return await line(request)

    def connect(self, token: Any = "t", call_timeout_s: float = 5.0) -> Everlog:
        return Everlog.connect("http://door", token=token, transport=self, call_timeout_s=call_timeout_s)


def problem(status: int, name: str, headers: dict[str, str] | None = None, **extras: Any) -> httpx.Response:
    body = {
        "type": PROBLEM_PREFIX + name,
        "title": "",
        "status": status,
        "detail": "so",
        "instance": "",
        "trace_id": "t",
    }
    return httpx.Response(status, json={**body, **extras}, headers=headers)


def state() -> httpx.Response:
    return httpx.Response(200, json=STATE, headers={"Everlog-Tier": "hot"})


def done() -> httpx.Response:
    return httpx.Response(201, json=DONE)


async def hang(_: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_pause_that_the_gateway_asks_for_is_kept() -> None:
    script = Script(problem(429, "rate-limited", {"Retry-After": "1"}), done())
    async with script.connect() as log:
        began_s = monotonic()
        assert (await log.session("a").append(HELLO)).version == 2
    assert 1.0 <= monotonic() - began_s < 2.0


@pytest.mark.parametrize(("status", "error"), [(429, RateLimitedError), (503, UnavailableError)])
async def test_a_pause_beyond_the_deadline_ends_the_call_at_once(status: int, error: type[UnavailableError]) -> None:
    script = Script(problem(status, "unavailable", {"Retry-After": "60"}))
    async with script.connect() as log:
        began_s = monotonic()
        with pytest.raises(error) as caught:
            await log.session("a").append(HELLO)
    assert type(caught.value) is error
    assert caught.value.retry_after_s == 60
    assert monotonic() - began_s < 1
    assert len(script.requests) == 1


async def test_a_call_that_is_never_answered_ends_at_its_deadline() -> None:
    async with Script(hang).connect(call_timeout_s=0.2) as log:
        began_s = monotonic()
        with pytest.raises(UnavailableError) as read:
            await log.session("a").state()
        with pytest.raises(UnknownOutcomeError):
            await log.session("a").append(HELLO)
    assert type(read.value) is UnavailableError
    assert 0.4 <= monotonic() - began_s < 1.5


async def test_a_write_whose_connection_broke_is_in_doubt_and_one_that_never_began_is_not() -> None:
    async with Script(httpx.ReadError("reset"), httpx.ConnectError("refused")).connect(call_timeout_s=0.3) as log:
        with pytest.raises(UnknownOutcomeError):
            await log.session("a").append(HELLO)
    async with Script(httpx.ConnectError("refused")).connect(call_timeout_s=0.3) as log:
        with pytest.raises(UnavailableError) as away:
            await log.session("a").append(HELLO)
    assert type(away.value) is UnavailableError


async def test_every_try_of_a_write_carries_the_same_id() -> None:
    script = Script(httpx.ReadError("reset"), problem(503, "unavailable"), done())
    async with script.connect() as log:
        await log.session("a").append(HELLO)
    assert len({request.content for request in script.requests}) == 1
    script = Script(httpx.ReadError("reset"), httpx.Response(201, json={**DONE, "session": "made"}))
    async with script.connect() as log:
        assert (await log.create(title="Trip")).id == "made"
    keys = {request.headers["Idempotency-Key"] for request in script.requests}
    assert (len(script.requests), len(keys)) == (2, 1)


async def test_what_is_refused_is_not_tried_again() -> None:
    script = Script(problem(404, "not-found"))
    async with script.connect() as log:
        with pytest.raises(NotFoundError):
            await log.session("a").state()
    assert len(script.requests) == 1


async def test_an_address_that_is_not_the_gateways_is_a_wrong_setting() -> None:
    async with Script(problem(404, "no-such-route")).connect() as log:
        with pytest.raises(ConfigurationError, match="Check its address"):
            await log.session("a").state()


async def test_a_lease_that_is_held_names_its_epoch() -> None:
    joined = httpx.Response(201, json=DONE)
    left = httpx.Response(201, json=DONE)
    async with Script(joined, problem(409, "held", held_epoch=7), left).connect() as log:
        with pytest.raises(LeaseHeldError) as held:
            async with log.session("a").join("planner", kind="agent"):
                pass
    assert held.value.epoch == 7


async def test_a_lost_lease_is_told_without_asking() -> None:
    joined, leased = httpx.Response(201, json=DONE), httpx.Response(201, json={**DONE, "version": 3, "epoch": 3})
    script = Script(joined, leased, problem(409, "fenced"))
    async with script.connect() as log, log.session("a").join("planner", kind="agent") as me:
        assert me.epoch == 3
        with pytest.raises(FencedError):
            await me.append(HELLO)
        asked = len(script.requests)
        for _ in range(3):
            with pytest.raises(FencedError):
                await me.append(HELLO)
        assert len(script.requests) == asked
    assert script.requests[2].headers["Everlog-Lease-Epoch"] == "3"
    assert script.requests[2].headers["Everlog-Participant"] == "planner"


async def test_a_token_that_is_refused_is_renewed_once_for_all_who_wait() -> None:
    given = iter(["old", "new"])
    asked = 0

    async def token() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return next(given)

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        return state() if request.headers["Authorization"] == "Bearer new" else problem(401, "unauthenticated")

    async with Script(answer).connect(token) as log:
        await asyncio.gather(*(log.session("a").state() for _ in range(5)))
    assert asked == 2


async def test_a_token_that_stays_refused_is_an_error() -> None:
    script = Script(problem(401, "unauthenticated"))
    async with script.connect(lambda: "stale") as log:
        with pytest.raises(UnauthenticatedError):
            await log.session("a").state()
    assert len(script.requests) == 2
    script = Script(problem(401, "unauthenticated"))
    async with script.connect("fixed") as log:
        with pytest.raises(UnauthenticatedError):
            await log.session("a").state()
    assert len(script.requests) == 1
