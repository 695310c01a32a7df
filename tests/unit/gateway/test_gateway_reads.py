"""Messages, lists and interrupts through the door."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from everlog.gateway import conversation
from support.door import World, knocking, message


def said(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "message.appended", "data": {"role": "user", "parts": [{"type": "text", "text": words}], **more}}


async def create(door: httpx.AsyncClient, session: str, **more: Any) -> None:
    assert (await door.post("/v1/sessions", json={"id": session, **more})).status_code == 201


async def append(door: httpx.AsyncClient, session: str, *bodies: dict[str, Any]) -> int:
    version = 0
    for body in bodies:
        answer = await door.post(f"/v1/sessions/{session}/events", json=body)
        assert answer.status_code == 201, answer.text
        version = int(answer.json()["version"])
    return version


def texts(page: dict[str, Any]) -> list[str]:
    return [each["parts"][0]["text"] if each["parts"] else "" for each in page["messages"]]


async def test_messages_are_shown_as_they_should_be_seen_now() -> None:
    async with World().served() as app, knocking(app) as door:
        await create(door, "rome")
        edit = {"type": "message.edited", "data": {"version": 2, "parts": [{"type": "text", "text": "ONE"}]}}
        await append(
            door, "rome", said("one"), said("secret"), edit, {"type": "message.redacted", "data": {"version": 3}}
        )
        answer = await door.get("/v1/sessions/rome/messages")
        assert (
            answer.status_code == 200 and answer.headers["ETag"] == '"5.1"' and answer.headers["Everlog-Tier"] == "hot"
        )
        page = answer.json()
        assert texts(page) == ["ONE", ""] and page["next"] is None
        first, second = page["messages"]
        assert (first["version"], first["index"], first["edited"], first["author"]) == (2, None, True, "ada")
        assert second["redacted"] and first["recorded_at"].endswith("Z")
        again = await door.get("/v1/sessions/rome/messages", headers={"If-None-Match": '"5.1"'})
        assert again.status_code == 304 and again.content == b""


async def test_what_was_taken_back_is_in_no_event_either() -> None:
    async with World().served() as app, knocking(app) as door:
        await create(door, "rome")
        edit = {
            "type": "message.edited",
            "data": {"version": 2, "parts": [{"type": "text", "text": "a second secret"}]},
        }
        redaction = {"type": "message.redacted", "data": {"version": 2}}
        await append(door, "rome", said("a secret"), edit, said("Hello"), redaction)
        answer = await door.get("/v1/sessions/rome/events")
        assert "secret" not in answer.text and "Hello" in answer.text
        assert [each["version"] for each in answer.json()["events"]] == [1, 2, 3, 4, 5]
        assert answer.headers["Everlog-Tier"] == "hot"


async def test_older_messages_are_where_next_leads() -> None:
    async with World().served() as app, knocking(app) as door:
        await create(door, "rome")
        await append(door, "rome", *[said(str(at)) for at in range(7)])
        found: list[str] = []
        path: str | None = "/v1/sessions/rome/messages?last=3"
        pages = 0
        while path is not None:
            answer = await door.get(path)
            found = texts(answer.json()) + found
            pages += 1
            path = answer.links["next"]["url"] if "next" in answer.links else None
        assert found == [str(at) for at in range(7)] and pages == 3


async def test_a_page_ends_where_it_has_looked_at_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "SCANNED_ENTRIES", 50)
    async with World().served() as app, knocking(app) as door:
        await create(door, "rome")
        await append(door, "rome", said("first"))
        patches = [{"type": "state.patched", "data": {"set": {"a": at}}} for at in range(120)]
        await append(door, "rome", *patches)
        answer = (await door.get("/v1/sessions/rome/messages?last=1")).json()
        assert answer["messages"] == [] and answer["next"] is not None
        while answer["next"] is not None and not answer["messages"]:
            answer = (await door.get("/v1/sessions/rome/messages", params={"before": answer["next"]})).json()
        assert texts(answer) == ["first"]


async def test_a_cursor_that_is_too_old_or_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with World().served() as app, knocking(app) as door:
        await create(door, "rome")
        await append(door, "rome", said("one"), said("two"))
        cursor = (await door.get("/v1/sessions/rome/messages?last=1")).json()["next"]
        await append(door, "rome", said("three"), said("four"))
        assert texts((await door.get(f"/v1/sessions/rome/messages?before={cursor}")).json()) == ["one"]
        monkeypatch.setattr(conversation, "SCANNED_ENTRIES", 1)
        refused = await door.get(f"/v1/sessions/rome/messages?before={cursor}")
        assert refused.status_code == 422 and "too much happened" in refused.json()["detail"]
        assert (await door.get("/v1/sessions/rome/messages?before=12")).status_code == 422
        assert (await door.get("/v1/sessions/rome/messages?last=0")).status_code == 422
        assert (await door.get("/v1/sessions/munich/messages")).status_code == 404


async def test_sessions_are_found_by_label_status_participant_and_words() -> None:
    async with World().served() as app, knocking(app, role="owner") as door:
        await create(door, "rome", title="Trip to Rome", labels={"team": "support"})
        await create(door, "paris", title="Trip to Paris", labels={"team": "sales"})
        member = {"participant": "planner", "principal": "mad-7", "kind": "agent"}
        await create(door, "munich", participants=[member])
        await append(door, "paris", {"type": "session.closed", "data": {}})

        async def found(**query: str) -> set[str]:
            answer = await door.get("/v1/sessions", params=query)
            assert answer.status_code == 200, answer.text
            return {each["session"] for each in answer.json()["sessions"]}

        assert await found() == {"rome", "paris", "munich"}
        assert await found(label="team:support") == {"rome"}
        assert await found(label="team") == {"rome", "paris"}
        assert await found(status="closed") == {"paris"}
        assert await found(participant="planner") == await found(participant="mad-7") == {"munich"}
        assert await found(q="trip ro") == {"rome"}
        assert await found(q="mun") == {"munich"}
        assert (await door.get("/v1/sessions?colour=red")).status_code == 422
        assert (await door.get("/v1/sessions?cursor=red")).status_code == 422


async def test_a_list_goes_on_where_next_leads() -> None:
    async with World().served() as app, knocking(app) as door:
        for at in range(5):
            await create(door, f"s{at}", labels={"a": "b"})
        found: list[str] = []
        path: str | None = "/v1/sessions?limit=2&label=a%3Ab"
        while path is not None:
            answer = await door.get(path)
            found += [each["session"] for each in answer.json()["sessions"]]
            path = answer.links["next"]["url"] if "next" in answer.links else None
        assert sorted(found) == [f"s{at}" for at in range(5)]


async def test_who_sees_what_in_lists() -> None:
    async with World().served() as app, knocking(app) as ada:
        await create(ada, "hers")
        member = {"participant": "planner", "principal": "mad-7", "kind": "agent"}
        await create(ada, "shared", participants=[member])

        async def seen(**claims: Any) -> set[str]:
            async with knocking(app, **claims) as door:
                return {each["session"] for each in (await door.get("/v1/sessions")).json()["sessions"]}

        assert await seen(principal="mad-7") == {"shared"}
        assert await seen(principal="eve", role="viewer") == set()
        for role in ("owner", "analyst", "operator", "auditor"):
            assert await seen(principal="eve", role=role) == {"hers", "shared"}
        assert await seen(tenant="other", role="owner") == set()


async def test_pending_interrupts_are_listed_with_what_they_ask() -> None:
    async with World().served() as app, knocking(app) as door:
        await create(door, "rome")
        await create(door, "paris")
        asked = {
            "interrupt": "ask-1",
            "reason": "approval",
            "message": "Book it?",
            "response_schema": {"type": "boolean"},
        }
        raised = {"type": "interrupt.raised", "data": asked}
        other = {"type": "interrupt.raised", "data": asked | {"interrupt": "ask-2", "message": "Sure?"}}
        await append(door, "rome", said("one"), {"events": [raised, other]}, *[said("more")] * 60)
        resolved = {"type": "interrupt.resolved", "data": {"interrupt": "ask-2", "status": "cancelled"}}
        await append(door, "rome", resolved)
        answer = (await door.get("/v1/interrupts?status=pending")).json()
        assert answer["next"] is None and len(answer["interrupts"]) == 1
        one = answer["interrupts"][0]
        assert (one["session"], one["interrupt"], one["version"], one["reason"]) == ("rome", "ask-1", 3, "approval")
        assert (one["message"], one["response_schema"], one["raised_by"]) == ("Book it?", {"type": "boolean"}, "ada")
        assert one["raised_at"].endswith("Z")
        await append(door, "rome", *[said("long ago")] * 200)
        one = (await door.get("/v1/interrupts")).json()["interrupts"][0]
        assert one == {"session": "rome", "interrupt": "ask-1", "raised_by": "ada"}


async def test_a_timeline_has_an_etag_too_and_can_be_waited_for() -> None:
    async with World().served() as app, knocking(app) as door:
        await create(door, "rome")
        version = await append(door, "rome", message())
        answer = await door.get(f"/v1/sessions/rome/events?min_version={version}")
        assert answer.headers["ETag"] == f'"{version}.1"'
        again = await door.get("/v1/sessions/rome/events", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
        assert (await door.get("/v1/sessions/rome/events?min_version=9")).status_code == 503
        assert (await door.get("/v1/sessions/rome/messages?min_version=9")).status_code == 503
