"""Taking part: joining and leaving, the status of a session, answers to interrupts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from everlog.schemas.http import JoinAnswer, Problem
from support.door import message
from support.leasing import SESSION, House, house


@pytest.fixture
async def door() -> AsyncIterator[House]:
    async with house() as door:
        yield door


def told(answer: httpx.Response, status: int, name: str) -> None:
    assert answer.status_code == status, answer.text
    assert Problem.model_validate(answer.json()).type.endswith(f":{name}"), answer.text


async def last(door: House) -> tuple[str, str, dict[str, Any]]:
    event = (await door.events())[-1]
    return event["type"].split(".", 1)[1], event["actor"], event["data"]


async def test_a_principal_joins_under_its_own_name_unless_it_says_otherwise(door: House) -> None:
    bob = await door.client(principal="bob")
    answer = await bob.post(f"{SESSION}/participants", json={"kind": "human"})
    joined = JoinAnswer.model_validate(answer.json())
    assert (answer.status_code, joined.participant, joined.version, joined.outcome) == (201, "bob", 2, "accepted")
    assert await last(door) == (
        "participant.joined.v1", "bob", {"participant": "bob", "principal": "bob", "kind": "human"},
    )  # fmt: skip
    named = await bob.post(f"{SESSION}/participants", json={"participant": "guide", "kind": "agent", "role": "viewer"})
    assert named.json()["participant"] == "guide"
    acting = await bob.post(
        f"{SESSION}/participants", json={"kind": "agent"}, headers={"Everlog-Participant": "helper"}
    )
    assert acting.json()["participant"] == "helper"


async def test_who_is_present_already_is_told_so(door: House) -> None:
    mad = await door.client(principal="mad-1")
    told(
        await mad.post(f"{SESSION}/participants", json={"participant": "planner", "kind": "agent"}), 409, "already-open"
    )


async def test_letting_others_join_needs_to_govern_the_session(door: House) -> None:
    guest = {"principal": "carl", "kind": "human"}
    answer = await door.owner.post(f"{SESSION}/participants", json=guest)
    assert (answer.status_code, answer.json()["participant"]) == (201, "carl")
    told(await (await door.client(principal="bob")).post(f"{SESSION}/participants", json=guest), 403, "forbidden")


async def test_nobody_joins_in_a_role_above_its_own_or_as_a_viewer_at_all(door: House) -> None:
    body = {"kind": "human", "role": "owner"}
    told(await (await door.client(principal="bob")).post(f"{SESSION}/participants", json=body), 403, "forbidden")
    viewer = await door.client(principal="bob", role="viewer")
    told(await viewer.post(f"{SESSION}/participants", json={"kind": "human", "role": "viewer"}), 403, "forbidden")


async def test_wrong_bodies_name_their_fields(door: House) -> None:
    for body in ({}, {"kind": "robot"}, {"kind": "human", "name": "x"}, {"kind": "human", "participant": "system:x"}):
        told(await door.owner.post(f"{SESSION}/participants", json=body), 422, "invalid-request")
    told(await door.owner.post(f"{SESSION}/participants?x=1", json={"kind": "human"}), 422, "invalid-request")


async def test_one_leaves_with_ones_epoch(door: House) -> None:
    planner = await door.mad()
    await planner.acquire()
    told(await planner.client.delete(f"{SESSION}/participants/planner"), 409, "fenced")
    answer = await planner.client.delete(
        f"{SESSION}/participants/planner", params={"reason": "done"}, headers=planner.headers
    )
    assert (answer.status_code, answer.json()["outcome"]) == (200, "accepted")
    assert await last(door) == ("participant.left.v1", "planner", {"participant": "planner", "reason": "done"})


async def test_who_governs_the_session_sends_others_away_and_nobody_else_does(door: House) -> None:
    critic = await door.mad("critic", "mad-2")
    await critic.acquire()
    told(await critic.client.delete(f"{SESSION}/participants/planner", headers=critic.headers), 403, "forbidden")
    told(await critic.client.delete(f"{SESSION}/participants/planner"), 403, "forbidden")
    assert (await door.owner.delete(f"{SESSION}/participants/planner")).status_code == 200
    told(await door.owner.delete(f"{SESSION}/participants/planner"), 422, "unknown-reference")
    told(await door.owner.delete(f"{SESSION}/participants/critic?why=x"), 422, "invalid-request")
    told(await door.owner.delete("/v1/sessions/bari/participants/critic"), 404, "not-found")


async def test_a_session_sleeps_goes_on_ends_and_goes_on_again(door: House) -> None:
    steps = [
        ("suspend", {"reason": "waits for the customer"}, "dormant"),
        ("resume", {}, "active"),
        ("close", {"outcome": "booked"}, "closed"),
        ("reopen", {"reason": "one more question"}, "active"),
    ]
    for verb, body, status in steps:
        answer = await door.owner.post(f"{SESSION}/{verb}", json=body)
        assert (answer.status_code, answer.json()["outcome"]) == (201, "accepted"), answer.text
        assert (await door.state()).status == status
        assert (await last(door))[2] == body


async def test_why_a_status_changes_need_not_be_said(door: House) -> None:
    assert (await door.owner.post(f"{SESSION}/close")).status_code == 201
    told(await door.owner.post(f"{SESSION}/close"), 409, "closed")
    told(await door.owner.post(f"{SESSION}/reopen", json={"outcome": "x"}), 422, "invalid-request")
    told(await door.owner.post(f"{SESSION}/reopen", content=b"x"), 415, "unsupported-media-type")


async def test_suspending_and_closing_free_every_lease(door: House) -> None:
    for verb, back in (("suspend", "resume"), ("close", "reopen")):
        planner = await door.mad()
        await planner.acquire()
        assert (await door.owner.post(f"{SESSION}/{verb}")).status_code == 201
        assert await door.epoch_of() is None
        assert (await door.owner.post(f"{SESSION}/{back}")).status_code == 201
        told(await planner.say(), 409, "fenced")


async def test_a_condition_and_a_key_of_ones_own_hold_here_too(door: House) -> None:
    told(await door.owner.post(f"{SESSION}/suspend", headers={"If-Match": '"9.1"'}), 412, "version-conflict")
    keyed = [await door.owner.post(f"{SESSION}/suspend", headers={"Idempotency-Key": "k-1"}) for _ in range(2)]
    assert [answer.json()["outcome"] for answer in keyed] == ["accepted", "duplicate"]
    assert keyed[0].json()["event_id"] == keyed[1].json()["event_id"]


async def test_only_who_may_write_changes_a_status(door: House) -> None:
    told(await (await door.client(principal="bob")).post(f"{SESSION}/close"), 403, "forbidden")
    told(await (await door.client(role="viewer")).post(f"{SESSION}/close"), 403, "forbidden")


async def test_a_human_answers_an_interrupt(door: House) -> None:
    planner = await door.mad()
    await planner.acquire()
    raised = {"interrupt": "ask-1", "reason": "approval", "message": "Book it?"}
    event = {"type": "interrupt.raised", "data": raised}
    assert (await planner.client.post(f"{SESSION}/events", json=event, headers=planner.headers)).status_code == 201
    path = f"{SESSION}/interrupts/ask-1/resolve"
    told(await door.owner.post(path, json={"status": "answered"}), 422, "invalid-request")
    told(await (await door.client(role="viewer")).post(path, json={"status": "cancelled"}), 403, "forbidden")
    answer = await door.owner.post(path, json={"status": "resolved", "payload": {"approved": True}})
    assert answer.status_code == 201
    assert await last(door) == (
        "interrupt.resolved.v1", "ada", {"interrupt": "ask-1", "status": "resolved", "payload": {"approved": True}},
    )  # fmt: skip
    told(await door.owner.post(path, json={"status": "cancelled"}), 422, "unknown-reference")


async def test_every_route_is_an_append_that_may_be_awaited_or_not(door: House) -> None:
    door.world.projecting = False
    answer = await door.owner.post(f"{SESSION}/close", headers={"Prefer": "respond-async"})
    assert (answer.status_code, answer.json()["outcome"]) == (202, "pending")
    assert answer.headers["location"].startswith(f"{SESSION}/outcomes/")
    assert (await door.owner.post(f"{SESSION}/events", json=message(), headers={"Prefer": "wait=0"})).status_code == 202
