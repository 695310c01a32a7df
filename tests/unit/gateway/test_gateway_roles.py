"""Every route asked in every role: by who takes part, by a stranger to the session, from another tenant.

What is expected comes from the table of roles; the requests below must cover every verb and every route.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from itertools import count
from typing import Any, Final, NamedTuple

import httpx
import pytest
import pytest_asyncio

from everlog.gateway.app import create_app
from everlog.gateway.roles import ROLES, Verb
from everlog.schemas.http import LEASE_EPOCH_HEADER, PARTICIPANT_HEADER, PROBLEM_PREFIX
from support.door import World, message, token
from support.listening import listening

SECRET: Final = "Only acme knows this"
SESSION: Final = "/v1/sessions/{session}"
LEASE: Final = SESSION + "/participants/{participant}/lease"
NOBODY: Final = "nobody"
"""A role that is not in the table."""
ROLES_ASKED: Final = (*ROLES, NOBODY)
NO_HEADERS: Final[Mapping[str, str]] = {}
one_gateway = pytest.mark.asyncio(loop_scope="module")
FOR_EVERYBODY: Final = {
    "GET /v1/schemas/{type}",
    "GET /asyncapi.json",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
}
"""Contracts and probes: nothing of any tenant."""


class Ask(NamedTuple):
    """A request to a route, and what it needs: the verb that the role must be allowed, and a place in the session.

    ``governing`` is the verb that is enough for who governs the session, ``by_strangers`` the one that is needed
    without a place in it. ``stranger`` is the answer to a principal without one whose role may, ``elsewhere`` to
    another tenant whose role may. ``before`` is how the session's status is changed before.
    """

    verb: Verb
    route: str
    body: Any = None
    headers: Mapping[str, str] = NO_HEADERS
    governing: Verb | None = None
    by_strangers: Verb | None = None
    participant: str = ""
    stranger: int = 200
    elsewhere: int = 404
    before: str = ""


def held(participant: str) -> dict[str, str]:
    """The header that names the epoch of a participant's lease."""
    return {LEASE_EPOCH_HEADER: {"planner": "3", "clerk": "5"}[participant]}


ASKS: Final = (
    Ask(Verb.CREATE, "POST /v1/sessions", {}, elsewhere=201, stranger=201),
    Ask(Verb.CREATE, f"PUT {SESSION}", {}, {"If-None-Match": "*"}, elsewhere=201, stranger=409),
    Ask(Verb.APPEND, f"PATCH {SESSION}", {"title": "Trip"}, stranger=403),
    Ask(Verb.APPEND, f"POST {SESSION}/events", message(), stranger=403),
    Ask(Verb.APPEND, f"POST {SESSION}/deltas", {"run": "r-1", "seq": 0, "text": "Hel"}, stranger=403),
    Ask(Verb.READ, f"GET {SESSION}"),
    Ask(Verb.READ, f"GET {SESSION}/events"),
    Ask(Verb.READ, f"GET {SESSION}/messages"),
    Ask(Verb.READ, f"GET {SESSION}/outcomes/{{event_id}}"),
    Ask(Verb.READ, f"GET {SESSION}/stream"),
    Ask(Verb.READ, "GET /v1/sessions", elsewhere=200),
    Ask(Verb.READ, "GET /v1/interrupts", elsewhere=200),
    Ask(Verb.READ, f"GET {LEASE}", participant="planner"),
    Ask(Verb.JOIN, f"POST {SESSION}/participants", {"participant": "guide", "kind": "human"}, stranger=201),
    Ask(Verb.JOIN, f"DELETE {SESSION}/participants/{{participant}}", participant="planner", stranger=403),
    Ask(Verb.LEASE, f"PUT {LEASE}", {}, participant="idle", stranger=403),
    Ask(Verb.LEASE, f"POST {LEASE}/heartbeat", None, held("clerk"), participant="clerk", stranger=403),
    Ask(Verb.LEASE, f"DELETE {LEASE}", None, held("clerk"), by_strangers=Verb.REVOKE_LEASE, participant="clerk"),
    Ask(Verb.REVOKE_LEASE, f"DELETE {LEASE}", None, held("planner"), Verb.APPEND, participant="planner"),
    Ask(Verb.CHANGE_STATUS, f"POST {SESSION}/suspend", stranger=403),
    Ask(Verb.CHANGE_STATUS, f"POST {SESSION}/resume", stranger=403, before="suspend"),
    Ask(Verb.CHANGE_STATUS, f"POST {SESSION}/close", stranger=403),
    Ask(Verb.CHANGE_STATUS, f"POST {SESSION}/reopen", stranger=403, before="close"),
    Ask(Verb.RESOLVE, f"POST {SESSION}/interrupts/{{interrupt}}/resolve", {"status": "resolved"}, stranger=403),
)


class Acme:
    """A gateway; ada's sessions at the tenant acme, as many as are needed."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._numbers = count(1)
        self._untouched: dict[str, str] = {}
        self._events: dict[str, str] = {}

    async def asked(self, ask: Ask, session: str, bearer: str, event_of: str = "") -> tuple[int, str]:
        """Status and body of the answer, of a stream its status only; ``event_of`` is whose event is asked for."""
        method, path = ask.route.split(" ")
        path = path.format(
            session=session,
            participant=ask.participant,
            event_id=self._events.get(event_of or session),
            interrupt="i-1",
        )
        headers = {**ask.headers, "Authorization": f"Bearer {bearer}"}
        async with self._client.stream(method, path, json=ask.body, headers=headers) as answer:
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                return answer.status_code, ""
            return answer.status_code, (await answer.aread()).decode()

    async def session_for(self, ask: Ask, *, to_change: bool) -> str:
        """A session of its own for what is about to change it, else one that nothing changes."""
        if to_change:
            return await self._session(ask.before)
        if ask.before not in self._untouched:
            self._untouched[ask.before] = await self._session(ask.before)
        return self._untouched[ask.before]

    async def _session(self, before: str) -> str:
        """Two agents hold leases, one of ada's own, another of hers does not, and a human is waited for."""
        session = f"rome-{next(self._numbers)}"
        path = f"/v1/sessions/{session}"
        ada, mad = token(), token(principal="mad")
        await self._done(ada, "POST /v1/sessions", {"id": session, "title": SECRET, "state": {"plan": SECRET}})
        for participant, principal in (("planner", "mad"), ("clerk", "ada"), ("idle", "ada")):
            joining = {"participant": participant, "principal": principal, "kind": "agent"}
            await self._done(ada, f"POST {path}/participants", joining)
            if participant != "idle":
                bearer = mad if principal == "mad" else ada
                await self._done(bearer, f"PUT {path}/participants/{participant}/lease", {})
        raised = {"interrupt": "i-1", "reason": "approval", "message": SECRET}
        planning = {PARTICIPANT_HEADER: "planner", **held("planner")}
        await self._done(mad, f"POST {path}/events", {"type": "interrupt.raised", "data": raised}, planning)
        said = await self._done(ada, f"POST {path}/events", message(SECRET))
        self._events[session] = said["event_id"]
        if before:
            await self._done(ada, f"POST {path}/{before}")
        return session

    async def _done(self, bearer: str, route: str, body: Any = None, headers: Mapping[str, str] = NO_HEADERS) -> Any:
        status, told = await self.asked(Ask(Verb.READ, route, body, headers), "", bearer)
        assert status in (200, 201), told
        return json.loads(told)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def acme() -> AsyncIterator[Acme]:
    async with listening() as gateway, httpx.AsyncClient(base_url=gateway.url) as client:
        yield Acme(client)


@pytest.fixture(params=ASKS, ids=lambda ask: f"{ask.verb.name}-{ask.route}")
def ask(request: pytest.FixtureRequest) -> Ask:
    asked: Ask = request.param
    return asked


def test_there_is_a_request_for_every_verb() -> None:
    assert {ask.verb for ask in ASKS} == set(Verb)


def test_there_is_a_request_for_every_route() -> None:
    paths = create_app(World().dependencies()).openapi()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert routes - FOR_EVERYBODY == {ask.route for ask in ASKS}


@one_gateway
async def test_without_a_token_there_is_no_answer(acme: Acme, ask: Ask) -> None:
    status, told = await acme.asked(ask, await acme.session_for(ask, to_change=False), "nonsense")
    assert (status, problem_of(told)) == (401, "unauthenticated")


@one_gateway
@pytest.mark.parametrize("role", ROLES_ASKED)
async def test_who_takes_part_may_do_what_its_role_may(acme: Acme, ask: Ask, role: str) -> None:
    may_do = may(role, ask.verb, ask.governing)
    session = await acme.session_for(ask, to_change=may_do and ask.verb is not Verb.READ)
    at = f"new-{role}" if ask.verb is Verb.CREATE else session
    status, told = await acme.asked(ask, at, token(role=role))
    if may_do:
        assert status in (200, 201, 202), told
    else:
        assert_denied(status, told, session)


@one_gateway
@pytest.mark.parametrize("role", ROLES_ASKED)
async def test_a_stranger_may_do_what_its_role_may_unless_it_takes_a_place_in_the_session(
    acme: Acme, ask: Ask, role: str
) -> None:
    may_do = may(role, ask.by_strangers or ask.verb)
    session = await acme.session_for(ask, to_change=may_do and ask.stranger in (200, 201) and ask.verb is not Verb.READ)
    status, told = await acme.asked(ask, session, token(role=role, principal="bob"))
    if may_do:
        assert status == ask.stranger, told
    else:
        assert_denied(status, told, session)


@one_gateway
@pytest.mark.parametrize("role", ROLES_ASKED)
async def test_a_session_of_another_tenant_does_not_exist(acme: Acme, ask: Ask, role: str) -> None:
    session = await acme.session_for(ask, to_change=False)
    is_creation = ask.verb is Verb.CREATE
    rival = token(tenant=f"maker-{role}" if is_creation else "rival", role=role)
    status, told = await acme.asked(ask, session, rival)
    assert SECRET not in told
    if may(role, ask.verb, ask.governing, ask.by_strangers):
        assert status == ask.elsewhere, told
    else:
        assert_denied(status, told, session)
    if not is_creation:
        nothing = await acme.asked(ask, "rome-0", rival, event_of=session)
        assert (status, generalised(told, session)) == (nothing[0], generalised(nothing[1], "rome-0"))


def may(role: str, *verbs: Verb | None) -> bool:
    """Whether one of the verbs is enough."""
    return any(verb in ROLES.get(role, ()) for verb in verbs if verb is not None)


def problem_of(told: str) -> str:
    return str(json.loads(told)["type"]).removeprefix(PROBLEM_PREFIX)


def assert_denied(status: int, told: str, session: str) -> None:
    assert (status, problem_of(told)) == (403, "forbidden"), told
    assert SECRET not in told
    assert session not in json.loads(told)["detail"], "it says something about the session"


def generalised(told: str, session: str) -> dict[str, Any]:
    """An answer without what names the request."""
    answer: dict[str, Any] = json.loads(told.replace(session, "rome")) if told else {}
    return {name: value for name, value in answer.items() if name not in ("trace_id", "event_id")}
