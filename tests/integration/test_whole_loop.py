"""The whole loop as a user meets it: everything up on one machine, a token, HTTP; then the failures."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest
import redis

from everlog.domain.state import state_hash
from everlog.domain.stored import decode_stored
from support.command_line import CommandLine, free_base
from support.waiting import wait_for

pytestmark = pytest.mark.integration

MESSAGE = {"type": "message.appended", "data": {"role": "user", "parts": [{"type": "text", "text": "hello"}]}}


class Door:
    """HTTP with a token."""

    def __init__(self, url: str, token: str) -> None:
        self.client = httpx.Client(base_url=f"{url}/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30)

    def create(self, session: str) -> None:
        assert self.client.post("/sessions", json={"id": session, "title": "Trip"}).status_code == 201

    def append(self, session: str, event: dict[str, Any] = MESSAGE, **headers: str) -> httpx.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(f"/sessions/{session}/events", json=event, headers=names)

    def state(self, session: str, **query: int) -> httpx.Response:
        return self.client.get(f"/sessions/{session}", params=query)

    def timeline(self, session: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.client.get(f"/sessions/{session}/events").json()["events"]
        return events


@pytest.fixture(scope="module")
def everlog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    run = CommandLine(tmp_path_factory.mktemp("everlog"), free_base())
    try:
        run.ok("up", "--all")
        yield run
    finally:
        run("down")


@pytest.fixture
def door(everlog: CommandLine) -> Iterator[Door]:
    url = everlog.ok("status", "--json").json["gateway"]
    door = Door(url, everlog.ok("token").out.strip())
    with door.client:
        yield door


def process_of(everlog: CommandLine, service: str) -> int:
    pid: int = everlog.ok("status", "--json").json["services"][service]["pid"]
    return pid


def hashes(everlog: CommandLine) -> dict[str, str]:
    """The state hash of every session in the warm store, stubs included."""
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(everlog.ok("status", "--json").json["mongo"])
    with client:
        stored = [decode_stored(document["blob"]) for document in client["everlog_views"]["sessions_g1"].find()]
    found = {}
    for one in stored:
        if one.state is not None:
            found[one.key] = state_hash(one.state)
        elif one.stub is not None:
            found[one.key] = one.stub.state_hash
    return found


def flush_redis(everlog: CommandLine) -> None:
    with redis.Redis.from_url(everlog.ok("status", "--json").json["redis"]) as client:
        client.flushall()


def test_what_was_written_is_read_back_with_its_version(door: Door) -> None:
    door.create("rome")
    done = door.append("rome")
    assert (done.status_code, done.json()["outcome"], done.json()["version"]) == (201, "accepted", 2)
    state = door.state("rome", min_version=2)
    assert (state.status_code, state.json()["version"]) == (200, 2)
    assert [event["version"] for event in door.timeline("rome")] == [1, 2]


def test_the_commands_show_the_same(everlog: CommandLine, door: Door) -> None:
    everlog.ok("create", "bari", "--title", "Sea")
    assert everlog.ok("append", "bari", "hello", "--json").json["version"] == 2
    assert everlog.ok("show", "bari", "--json").json["version"] == door.state("bari").json()["version"]
    assert [event["version"] for event in everlog.ok("timeline", "bari", "--json").json["events"]] == [1, 2]


def test_an_append_while_the_projector_is_dead_is_accepted_and_applied_once(everlog: CommandLine, door: Door) -> None:
    door.create("dead")
    os.kill(process_of(everlog, "projector"), signal.SIGKILL)
    first = door.append("dead", Prefer="respond-async", Idempotency_Key="only-once")
    again = door.append("dead", Prefer="respond-async", Idempotency_Key="only-once")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["event_id"] == again.json()["event_id"]
    outcomes = first.headers["location"].removeprefix("/v1")
    answer = wait_for(
        lambda: found if (found := door.client.get(outcomes)).status_code == 200 else None,
        timeout_s=60,
        what="the outcome after the projector's restart",
    )
    assert answer is not None
    assert answer.json()["outcome"] == "accepted"
    assert [event["event_id"] for event in door.timeline("dead")].count(first.json()["event_id"]) == 1


def test_old_sessions_answer_as_before_after_trimming_eviction_loss_of_redis_and_of_all_views(
    everlog: CommandLine, door: Door
) -> None:
    door.create("old")
    for _ in range(5):
        door.append("old")
    state, timeline, before = door.state("old").json(), door.timeline("old"), hashes(everlog)
    assert everlog.ok("archive", "run", "--json").json["events"] > 0
    assert everlog.ok("archive", "trim", "--window-s", "0", "--yes", "--json").json["trimmed_events"] > 0
    assert everlog.ok("archive", "evict", "--idle-s", "0", "--yes", "--json").json["evicted"] == len(before)
    flush_redis(everlog)
    assert (door.state("old").json(), door.timeline("old")) == (state, timeline)
    assert door.state("old").headers["everlog-tier"] == "cold"
    assert hashes(everlog) == before
    with pymongo.MongoClient[dict[str, Any]](everlog.ok("status", "--json").json["mongo"]) as client:
        client.drop_database("everlog_views")
    flush_redis(everlog)
    os.kill(process_of(everlog, "projector"), signal.SIGKILL)
    wait_for(lambda: len(hashes(everlog)) == len(before), timeout_s=60, what="all sessions rebuilt")
    wait_for(lambda: hashes(everlog) == before, timeout_s=30, what="every session's hash as before")
    assert (door.state("old").json(), door.timeline("old")) == (state, timeline)
    assert door.append("old").json()["version"] == len(timeline) + 1


def test_a_wrong_or_missing_token_an_unknown_session_and_broken_json_are_told_apart(door: Door) -> None:
    assert door.client.get("/sessions/rome", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert httpx.get(f"{door.client.base_url}sessions/rome").status_code == 401
    assert door.state("never-heard-of").status_code == 404
    broken = door.client.post("/sessions/rome/events", content=b"{", headers={"Content-Type": "application/json"})
    assert (broken.status_code, broken.headers["content-type"]) == (422, "application/problem+json")


def test_the_command_line_tells_what_went_wrong_by_its_exit_code(everlog: CommandLine, tmp_path: Path) -> None:
    assert everlog("show", "never-heard-of").code == 3
    assert everlog("append", "bari").code == 2
    assert everlog("archive", "trim").code == 2
    away = CommandLine(tmp_path, 19_000)
    assert away("status").code == 3
    assert away("archive", "status").code == 69


def test_a_second_up_finds_the_first(everlog: CommandLine) -> None:
    before = process_of(everlog, "kafka")
    everlog.ok("up", "--all")
    assert process_of(everlog, "kafka") == before
