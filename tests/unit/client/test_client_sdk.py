"""The SDK against the gateway over the stores in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import stamina
from fastapi import FastAPI

from everlog.client import (
    AlreadyExistsError,
    ClosedError,
    Everlog,
    EverlogError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    InvalidEventError,
    KeyConflictError,
    LimitExceededError,
    Message,
    NotFoundError,
    StatePatch,
    UnauthenticatedError,
    UnavailableError,
    UnknownReferenceError,
    VersionConflictError,
    text,
)
from support.door import World, token


@pytest.fixture(autouse=True)
def quick_retries() -> Iterator[None]:
    stamina.set_testing(True, attempts=3)
    yield
    stamina.set_testing(False)


@pytest.fixture
async def world() -> World:
    return World(read_timeout_s=0.3)


@pytest.fixture
async def app(world: World) -> AsyncIterator[FastAPI]:
    async with world.served() as app:
        yield app


def connect(app: FastAPI, **claims: Any) -> Everlog:
    return Everlog.connect("http://door", token=token(**claims), transport=httpx.ASGITransport(app=app))


@pytest.fixture
async def log(app: FastAPI) -> AsyncIterator[Everlog]:
    async with connect(app) as log:
        yield log


def said(content: str) -> Message:
    return Message(role="user", parts=[text(content)])


async def test_a_conversation_from_its_creation_to_its_timeline(log: Everlog) -> None:
    chat = await log.create("rome-42", title="Trip", labels={"team": "support"}, state={"city": "Rome"})
    done = await chat.append(said("Hello"))
    assert (done.version, done.result) == (2, "accepted")
    assert done.position is not None
    await chat.patch({"city": "Oslo"}, expected_keys={"city": 1})
    batch = await chat.append([said("one"), StatePatch(set={"n": 1})], expected_version=3)
    await chat.append("com.example.noted", {"free": ["form"]})
    state = await chat.state(min_version=batch.version)
    assert (state.version, state.title, state.state, state.tier) == (5, "Trip", {"city": "Oslo", "n": 1}, "hot")
    assert (await chat.state(at_version=1)).state == {"city": "Rome"}
    events = [event async for event in chat.timeline()]
    assert [event.version for event in events] == [1, 2, 3, 4, 5]
    assert events[1].data["parts"][0]["text"] == "Hello"
    assert [event.version async for event in chat.timeline(after=1, limit=2)] == [2, 3]


async def test_a_long_timeline_is_read_page_by_page(log: Everlog) -> None:
    chat = await log.create()
    for number in range(120):
        await chat.append(said(str(number)))
    assert [event.version async for event in chat.timeline()] == list(range(1, 122))
    assert [event.version async for event in chat.timeline(limit=110)] == list(range(1, 111))


async def test_an_existing_session_is_an_error_or_is_opened(log: Everlog) -> None:
    await log.create("rome-42", title="Trip")
    with pytest.raises(AlreadyExistsError):
        await log.create("rome-42", title="Other")
    assert (await log.create("rome-42", title="Other", if_exists="open")).id == "rome-42"
    assert (await log.session("rome-42").state()).title == "Trip"


async def test_conflicts_carry_what_happened(log: Everlog) -> None:
    chat = await log.create("rome-42", state={"city": "Rome"})
    await chat.patch({"city": "Oslo"})
    with pytest.raises(VersionConflictError) as version:
        await chat.append(said("late"), expected_version=1)
    assert (version.value.actual_version, [event["version"] for event in version.value.events]) == (2, [2])
    with pytest.raises(KeyConflictError) as keys:
        await chat.patch({"city": "Bonn"}, expected_keys={"city": 1})
    assert (keys.value.keys, keys.value.actual_version) == (("city",), 2)


async def test_the_same_event_id_gets_the_first_answer(log: Everlog) -> None:
    chat = await log.create("rome-42")
    first = await chat.append(said("x"), event_id="mine")
    again = await chat.append(said("x"), event_id="mine")
    assert (again.version, again.result, again.event_id) == (first.version, "duplicate", first.event_id)
    with pytest.raises(IdempotencyKeyReusedError):
        await chat.append(said("y"), event_id="mine")


async def test_a_durable_append_tells_its_outcome_later(world: World, log: Everlog) -> None:
    chat = await log.create("rome-42")
    world.projecting = False
    done = await chat.append(said("x"), wait="durable")
    stale = await chat.append(said("y"), wait="durable", expected_version=1)
    assert (done.version, done.result) == (None, "pending")
    await world.project()
    assert (await done.outcome()).version == 2
    with pytest.raises(VersionConflictError) as caught:
        await stale.outcome()
    assert caught.value.actual_version == 2


async def test_an_outcome_that_does_not_come_is_unavailable(world: World, log: Everlog) -> None:
    chat = await log.create("rome-42")
    world.projecting = False
    done = await chat.append(said("x"), wait="durable")
    with pytest.raises(UnavailableError):
        await done.outcome(timeout_s=0.1)


async def test_a_human_joins_and_leaves(app: FastAPI, log: Everlog) -> None:
    await log.create("rome-42")
    async with connect(app, principal="bob") as bobs:
        chat = bobs.session("rome-42")
        async with chat.join("bob") as me:
            await me.append(said("Hi"))
        with pytest.raises(ForbiddenError):
            await chat.append(said("gone"))
        with pytest.raises(ForbiddenError):
            async with chat.join("bob", role="owner"):
                pass
    actors = [(event.type.split(".")[2], event.actor) async for event in log.session("rome-42").timeline(after=1)]
    assert actors == [("joined", "bob"), ("appended", "bob"), ("left", "bob")]


async def test_leaving_a_session_that_was_closed_meanwhile_is_no_error(app: FastAPI, log: Everlog) -> None:
    chat = await log.create("rome-42")
    async with connect(app, principal="bob") as bobs, bobs.session("rome-42").join("bob"):
        await chat.append("session.closed", {})
    with pytest.raises(ClosedError):
        await chat.append(said("late"))


async def test_errors_are_typed(app: FastAPI, log: Everlog) -> None:
    chat = await log.create("rome-42")
    with pytest.raises(NotFoundError):
        await log.session("none").state()
    with pytest.raises(NotFoundError):
        await log.session("none").append(said("x"))
    with pytest.raises(InvalidEventError) as invalid:
        await chat.append("message.appended", {"role": "boss", "parts": []})
    assert len(invalid.value.errors) == 2
    with pytest.raises(LimitExceededError) as limit:
        await chat.append(said("x" * 300_000))
    assert limit.value.maximum == 256 * 1024
    with pytest.raises(UnknownReferenceError):
        await chat.append(Message(role="user", parts=[text("x")], run="none"))
    with pytest.raises(UnavailableError):
        await chat.state(min_version=99)
    async with connect(app, now=0) as stranger:
        with pytest.raises(UnauthenticatedError):
            await stranger.session("rome-42").state()


@pytest.mark.parametrize("session_id", ["", "a/b", "..%2f", "a b", "x" * 129, "?x", "a\n"])
def test_a_session_id_that_is_none_never_becomes_an_address(session_id: str) -> None:
    with pytest.raises(InvalidEventError):
        Everlog.connect("http://door", token="t").session(session_id)


async def test_data_must_fit_the_call(log: Everlog) -> None:
    chat = log.session("rome-42")
    with pytest.raises(TypeError):
        await chat.append("message.appended")
    with pytest.raises(TypeError):
        await chat.append(said("x"), {"more": 1})


class Flaky(httpx.AsyncBaseTransport):
    """Loses the first answers, after the gateway has given them."""

    def __init__(self, app: FastAPI, losses: int) -> None:
        self.inner, self.losses = httpx.ASGITransport(app=app), losses

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self.inner.handle_async_request(request)
        if self.losses:
            self.losses -= 1
            raise httpx.ReadError("the connection was reset")
        return answer


async def test_a_lost_answer_is_asked_for_again_and_nothing_is_applied_twice(app: FastAPI) -> None:
    async with Everlog.connect("http://door", token=token(), transport=Flaky(app, 1)) as log:
        chat = await log.create()
    async with Everlog.connect("http://door", token=token(), transport=Flaky(app, 2)) as log:
        done = await log.session(chat.id).append(said("once"))
        assert (done.version, done.result) == (2, "duplicate")
        assert (await log.session(chat.id).state()).version == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [(503, UnavailableError), (502, UnavailableError), (429, UnavailableError), (500, EverlogError)],
)
async def test_what_is_not_everlog_answers_typed_errors_too(status: int, error: type[EverlogError]) -> None:
    requests = 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        return httpx.Response(status, text="<html>a proxy</html>")

    async with Everlog.connect("http://door", token="t", transport=httpx.MockTransport(answer)) as log:
        with pytest.raises(error):
            await log.session("a").state()
    assert requests == (1 if status == 500 else 3)
