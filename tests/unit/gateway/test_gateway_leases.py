"""Leases at the door: held, kept, taken over from the dead, and lost for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from everlog.adapters.memory.heartbeats import MemoryHeartbeats
from everlog.ports.heartbeats import Alive, Lease
from everlog.schemas.audit import Operation
from everlog.schemas.errors import UnavailableError
from everlog.schemas.http import HeartbeatAnswer, HeldLeaseAnswer, LeaseAnswer, Problem
from support.door import message
from support.leasing import SESSION, TTL_S, House, Mad, house

KEY = "acme/rome-42"


@pytest.fixture
async def door() -> AsyncIterator[House]:
    async with house() as door:
        yield door


@pytest.fixture
async def planner(door: House) -> Mad:
    return await door.mad()


@pytest.fixture
async def other(door: House) -> Mad:
    """Another process of the same participant."""
    return await door.mad()


def told(answer: httpx.Response, status: int, name: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    problem = Problem.model_validate(answer.json())
    assert problem.type.endswith(f":{name}"), answer.text
    return problem.model_extra or {}


async def acquired(mad: Mad, **body: int) -> int:
    answer = await mad.acquire(**body)
    assert answer.status_code == 201, answer.text
    assert mad.epoch is not None
    return mad.epoch


async def test_the_epoch_of_a_lease_is_the_version_of_its_acquisition(door: House, planner: Mad) -> None:
    answer = LeaseAnswer.model_validate((await planner.acquire()).json())
    assert (answer.outcome, answer.version, answer.epoch, answer.ttl_s) == ("accepted", 2, 2, TTL_S)
    assert await door.epoch_of() == 2
    assert await door.heartbeats.look(Lease(KEY, "planner", 2)) is not None
    assert (await planner.say()).status_code == 201


async def test_a_lease_is_30_s_long_unless_asked_otherwise(planner: Mad) -> None:
    answer = await planner.client.put(planner.path, json={})
    assert (answer.status_code, answer.json()["ttl_s"]) == (201, 30)


async def test_a_lease_whose_holder_is_alive_is_refused_with_its_epoch_and_when_to_ask_again(
    door: House, planner: Mad, other: Mad
) -> None:
    epoch = await acquired(planner)
    for supersedes in ({}, {"supersedes": epoch}):
        answer = await other.acquire(**supersedes)
        assert told(answer, 409, "held")["held_epoch"] == epoch
        assert 25 <= int(answer.headers["retry-after"]) <= TTL_S
    assert (await door.state()).version == epoch, "nothing was appended"


async def test_heartbeats_keep_a_lease_for_as_long_as_they_come(door: House, planner: Mad, other: Mad) -> None:
    await acquired(planner)
    await door.go_on(10 * TTL_S, planner)
    told(await other.acquire(), 409, "held")
    kept = HeartbeatAnswer.model_validate((await planner.beat()).json())
    assert (kept.epoch, kept.ttl_s) == (planner.epoch, TTL_S)
    assert kept.alive_until > (await door.events())[-1]["time"]


async def test_a_silent_holder_is_superseded_and_fenced_for_ever(door: House, planner: Mad, other: Mad) -> None:
    old = await acquired(planner)
    await door.go_on(TTL_S + 1)
    new = await acquired(other)
    assert (await door.events())[-1]["data"] == {"participant": "planner", "ttl_s": TTL_S, "supersedes": old}
    for _ in range(2):
        told(await planner.say(), 409, "fenced")
        told(await planner.say(with_epoch=False), 409, "fenced")
        assert told(await planner.beat(), 409, "fenced")["held_epoch"] == new
        told(await planner.release(), 409, "fenced")
        await door.go_on(TTL_S, other)
    assert (await other.say()).status_code == 201
    assert await door.epoch_of() == new


async def test_the_epoch_that_was_seen_dead_may_be_named(door: House, planner: Mad, other: Mad) -> None:
    old = await acquired(planner)
    await door.go_on(TTL_S + 1)
    assert await acquired(other, supersedes=old) > old


async def test_an_agent_without_an_epoch_is_fenced_by_the_law_even_while_nobody_holds_the_lease(planner: Mad) -> None:
    told(await planner.say(with_epoch=False), 409, "fenced")


async def test_an_epoch_that_is_held_no_longer_is_named_in_vain(door: House, planner: Mad, other: Mad) -> None:
    old = await acquired(planner)
    await door.go_on(TTL_S + 1)
    new = await acquired(other)
    answer = await planner.acquire(supersedes=old)
    assert told(answer, 409, "held")["held_epoch"] == new
    told(await planner.acquire(supersedes=999), 409, "held")


async def test_silence_does_not_count_while_the_hot_store_could_not_hear(door: House, planner: Mad, other: Mad) -> None:
    await acquired(planner)
    await door.go_on(TTL_S - 5)
    door.heartbeats.lose_everything()
    await door.go_on(10)
    answer = await other.acquire()
    told(answer, 409, "held")
    assert 15 <= int(answer.headers["retry-after"]) <= TTL_S
    assert (await planner.beat()).status_code == 200, "its next heartbeat brings it back"
    await door.go_on(TTL_S - 5)
    told(await other.acquire(), 409, "held")
    await door.go_on(6)
    await acquired(other)


async def test_nobody_is_dead_before_its_first_heartbeat(door: House, planner: Mad, other: Mad) -> None:
    await door.go_on(10 * TTL_S)
    epoch = await acquired(planner)
    await door.heartbeats.forget(Lease(KEY, "planner", epoch))  # as if another door had not come to say it
    answer = await other.acquire()
    told(answer, 409, "held")
    assert int(answer.headers["retry-after"]) == TTL_S
    await door.go_on(TTL_S + 1)
    await acquired(other)


async def test_a_released_lease_is_free_at_once(door: House, planner: Mad, other: Mad) -> None:
    epoch = await acquired(planner)
    answer = await planner.release(reason="done")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "accepted")
    assert (await door.events())[-1]["data"] == {"participant": "planner", "epoch": epoch, "reason": "done"}
    assert await door.heartbeats.look(Lease(KEY, "planner", epoch)) is None
    assert await door.epoch_of() is None
    await acquired(other)


async def test_leases_of_other_participants_do_not_matter(door: House, planner: Mad) -> None:
    critic = await door.mad("critic", "mad-2")
    assert await acquired(planner) != await acquired(critic)


async def test_an_acquisition_as_a_plain_event_obeys_the_same_rule(door: House, planner: Mad, other: Mad) -> None:
    def event(**data: int) -> dict[str, object]:
        return {"type": "lease.acquired", "data": {"participant": "planner", "ttl_s": TTL_S, **data}}

    async def ask(mad: Mad, **data: int) -> httpx.Response:
        headers = {"Everlog-Participant": "planner"}
        return await mad.client.post(f"{SESSION}/events", json=event(**data), headers=headers)

    epoch = (await ask(planner)).json()["version"]
    assert await door.heartbeats.look(Lease(KEY, "planner", epoch)) is not None
    told(await ask(other), 409, "held")
    told(await ask(other, supersedes=epoch), 409, "held")
    await door.go_on(TTL_S + 1)
    assert (await ask(other)).status_code == 201
    told(await ask(other, ttl_s=0), 422, "invalid-request")


async def test_a_retry_of_an_acquisition_gets_the_first_answer(door: House, planner: Mad, other: Mad) -> None:
    first = [(await planner.acquire(headers={"Idempotency-Key": "k-1"})).json() for _ in range(2)]
    assert (first[0]["epoch"], first[1]["outcome"]) == (first[1]["epoch"], "duplicate")
    await door.go_on(TTL_S + 1)
    taken = [(await other.acquire(headers={"Idempotency-Key": "k-2"})).json() for _ in range(2)]
    assert (taken[0]["epoch"], taken[1]["outcome"]) == (taken[1]["epoch"], "duplicate")
    assert taken[0]["epoch"] > first[0]["epoch"]


async def test_a_key_that_was_used_for_something_else_is_refused(door: House, planner: Mad) -> None:
    await acquired(planner)
    said = await planner.client.post(
        f"{SESSION}/events", json=message(), headers=planner.headers | {"Idempotency-Key": "k-1"}
    )
    assert said.status_code == 201
    told(await planner.acquire(headers={"Idempotency-Key": "k-1"}), 422, "idempotency-key-reused")


async def test_a_lease_is_looked_at(door: House, planner: Mad) -> None:
    async def look() -> HeldLeaseAnswer:
        return HeldLeaseAnswer.model_validate((await door.owner.get(planner.path)).json())

    assert await look() == HeldLeaseAnswer(participant="planner")
    epoch = await acquired(planner)
    held = await look()
    assert (held.epoch, held.ttl_s) == (epoch, TTL_S) and held.alive_until is not None
    await door.go_on(TTL_S + 1)
    assert await look() == HeldLeaseAnswer(participant="planner", epoch=epoch)


async def test_keeping_and_ending_a_lease_need_its_epoch(planner: Mad) -> None:
    await acquired(planner)
    planner.epoch = None
    told(await planner.beat(), 428, "condition-required")
    told(await planner.release(), 428, "condition-required")


async def test_only_ones_own_lease_is_acquired_and_kept(door: House, planner: Mad) -> None:
    stranger = await door.mad("planner", "mad-2")
    told(await stranger.acquire(), 403, "forbidden")
    stranger.epoch = await acquired(planner)
    told(await stranger.beat(), 403, "forbidden")
    reader = Mad(await door.client(principal="mad-1", role="viewer"), "planner")
    reader.epoch = planner.epoch
    told(await reader.beat(), 403, "forbidden")
    told(await reader.release(), 403, "forbidden")


async def test_the_header_may_not_name_another_participant(door: House, planner: Mad) -> None:
    epoch = await acquired(planner)
    for call in (planner.client.put(planner.path, json={}, headers={"Everlog-Participant": "critic"}),):
        told(await call, 422, "invalid-request")
    headers = {"Everlog-Participant": "critic", "Everlog-Lease-Epoch": str(epoch)}
    told(await planner.client.post(f"{planner.path}/heartbeat", headers=headers), 422, "invalid-request")
    told(await planner.client.delete(planner.path, headers=headers), 422, "invalid-request")


async def test_a_heartbeat_of_what_was_never_held_is_fenced_and_of_no_session_is_404(door: House, planner: Mad) -> None:
    planner.epoch = 999
    assert told(await planner.beat(), 409, "fenced")["held_epoch"] is None
    nobody = Mad(planner.client, "nobody")
    nobody.epoch = 1
    told(await nobody.beat(), 409, "fenced")
    headers = {"Everlog-Lease-Epoch": "1"}
    answer = await door.owner.post("/v1/sessions/bari/participants/planner/lease/heartbeat", headers=headers)
    told(answer, 404, "not-found")


async def test_who_governs_the_session_takes_a_lease_away(door: House, planner: Mad) -> None:
    epoch = await acquired(planner)
    run = {"type": "run.started", "data": {"run": "r-1", "agent": "planner"}}
    assert (await planner.client.post(f"{SESSION}/events", json=run, headers=planner.headers)).status_code == 201
    answer = await door.owner.delete(
        planner.path, params={"reason": "stuck"}, headers={"Everlog-Lease-Epoch": str(epoch)}
    )
    assert (answer.status_code, answer.json()["outcome"]) == (200, "accepted")
    last = (await door.events())[-1]
    assert (last["type"], last["actor"]) == ("everlog.lease.revoked.v1", "ada")
    assert last["data"] == {"participant": "planner", "epoch": epoch, "reason": "stuck"}
    assert (await door.state()).open.runs == []
    told(await planner.say(), 409, "fenced")


@pytest.mark.parametrize("reason", ["stuck", None])
async def test_an_operator_takes_a_lease_away_in_any_session(door: House, planner: Mad, reason: str | None) -> None:
    epoch = await acquired(planner)
    operator = await door.client(principal="olga", role="operator")
    query = {"reason": reason} if reason else {}
    headers = {"Everlog-Lease-Epoch": str(epoch), "Idempotency-Key": "k-1"}
    answers = [await operator.delete(planner.path, params=query, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    last = (await door.events())[-1]
    assert (last["type"], last["actor"]) == ("everlog.lease.revoked.v1", "system:operator")
    assert last["data"]["reason"] == ("olga: stuck" if reason else "olga")
    told(await operator.delete(planner.path, headers={"Everlog-Lease-Epoch": str(epoch)}), 409, "fenced")
    entry = (await door.world.audit.tail(1))[0]
    assert isinstance(entry.data, Operation)
    assert (entry.actor, entry.tenantid, entry.data.command) == ("olga", "acme", "lease revoke")
    assert (entry.data.sessions, entry.data.arguments) == ([KEY], {"participant": "planner", "epoch": str(epoch)})


async def test_an_operator_who_owns_the_session_does_it_as_an_operator(door: House, planner: Mad) -> None:
    epoch = await acquired(planner)
    ada = await door.client(role="operator")
    assert (await ada.delete(planner.path, headers={"Everlog-Lease-Epoch": str(epoch)})).status_code == 200
    assert (await door.events())[-1]["actor"] == "system:operator"


async def test_nobody_else_takes_a_lease_away(door: House, planner: Mad) -> None:
    epoch = await acquired(planner)
    critic = await door.mad("critic", "mad-2")
    await acquired(critic)
    headers = {"Everlog-Lease-Epoch": str(epoch)}
    told(await critic.client.delete(planner.path, headers=headers), 403, "forbidden")
    revoked = {"type": "lease.revoked", "data": {"participant": "planner", "epoch": epoch}}
    told(await critic.client.post(f"{SESSION}/events", json=revoked, headers=critic.headers), 403, "forbidden")
    assert (await door.owner.post(f"{SESSION}/events", json=revoked)).status_code == 201
    assert await door.heartbeats.look(Lease(KEY, "planner", epoch)) is None


async def test_who_left_holds_no_lease_any_more(door: House, planner: Mad) -> None:
    await acquired(planner)
    left = await planner.client.delete(f"{SESSION}/participants/planner", headers=planner.headers)
    assert left.status_code == 200
    told(await planner.beat(), 409, "fenced")


async def test_an_acquisition_whose_verdict_is_not_known_yet_has_no_epoch(door: House, planner: Mad) -> None:
    door.world.projecting = False
    answer = await planner.acquire(headers={"Prefer": "respond-async"})
    assert (answer.status_code, answer.json()["epoch"], answer.json()["outcome"]) == (202, None, "pending")
    assert answer.headers["location"].startswith(f"{SESSION}/outcomes/")


async def test_a_parked_or_suspended_session_gives_no_lease(door: House, planner: Mad) -> None:
    assert (await door.owner.post(f"{SESSION}/suspend")).status_code == 201
    told(await planner.acquire(), 409, "dormant")


class Deaf(MemoryHeartbeats):
    """A hot store that is away."""

    async def look(self, lease: Lease) -> Alive | None:
        raise UnavailableError("Redis", "away")

    async def beat(self, lease: Lease, ttl_s: int) -> None:
        raise UnavailableError("Redis", "away")

    async def forget(self, lease: Lease) -> None:
        raise UnavailableError("Redis", "away")


async def test_without_the_hot_store_free_leases_are_given_and_nobody_is_taken_for_dead() -> None:
    async with house(heartbeats=Deaf()) as door:
        planner, other = await door.mad(), await door.mad()
        await acquired(planner)
        assert (await planner.say()).status_code == 201
        told(await other.acquire(), 503, "unavailable")
        answer = await planner.beat()
        told(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert (await planner.release()).status_code == 200
        await acquired(other)


async def test_the_openapi_document_shows_what_is_refused(door: House) -> None:
    paths = (await door.owner.get("/openapi.json")).json()["paths"]
    lease = paths["/v1/sessions/{session}/participants/{participant}/lease"]
    assert set(lease) == {"put", "get", "delete"}
    examples = lease["put"]["responses"]["409"]["content"]["application/problem+json"]["examples"]
    assert examples["held"]["value"]["type"] == "urn:everlog:problem:held"
    assert "428" in lease["delete"]["responses"]
