"""The spool: nothing that was said to be safe is lost, order per session holds, what is refused can be read."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from everlog.client import Everlog, Session, Spooled, UnavailableError, VersionConflictError
from everlog.client.outgoing import Outgoing
from everlog.client.spool import Spool
from everlog.client.testing import MemoryEverlog
from everlog.schemas.errors import NotFoundError
from support.sdk_contract import parts, said
from support.waiting import until

PROCESS = Path(__file__).with_name("spooling_process.py")


@pytest.fixture
def world() -> MemoryEverlog:
    return MemoryEverlog()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "everlog.db"


async def texts(chat: Session) -> list[str | None]:
    return [part.text for message in await chat.messages() for part in parts(message)]


async def drained(log: Everlog) -> None:
    assert log.spool is not None
    spool = log.spool
    await until(lambda: spool.depth == 0, what="an empty spool")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def killed_while_it_spools(path: Path, after: int) -> int:
    """How many events a process said to be safe before it was killed."""
    process = subprocess.Popen([sys.executable, str(PROCESS), str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    safe = 0
    with process, process.stdout:
        for line in process.stdout:
            safe = int(line) + 1
            if safe == after:
                os.kill(process.pid, signal.SIGKILL)
    return safe


def refused(path: Path) -> list[dict[str, Any]]:
    lines = path.with_name(f"{path.name}.refused.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


async def test_while_the_gateway_is_there_nothing_is_spooled(world: MemoryEverlog, path: Path) -> None:
    async with world.connect(spool=path) as log:
        chat = await log.create("rome-42")
        done = await chat.append(said("x"))
        assert (done.version, done.is_acknowledged) == (2, True)
        assert log.spool is not None
        assert log.spool.depth == 0


async def test_an_append_while_it_is_away_is_safe_on_disk_and_says_that_it_is_not_acknowledged(
    world: MemoryEverlog, path: Path
) -> None:
    async with world.connect(spool=path) as log:
        chat = await log.create("rome-42")
        world.is_away = True
        done = await chat.append(said("x"))
        assert isinstance(done, Spooled)
        assert (done.version, done.result, done.is_acknowledged) == (None, "spooled", False)
        assert log.spool is not None
        assert log.spool.depth == 1
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as other:
            assert other.execute("SELECT count(*) FROM waiting").fetchone() == (1,)
        other.close()
        assert mode(path) == 0o600
        with pytest.raises(UnavailableError):
            await done.outcome(timeout_s=0.1)
        world.is_away = False
        landed = await done.outcome()
        assert (landed.version, landed.result) == (2, "duplicate")


async def test_what_waits_is_handed_over_in_order_and_nothing_overtakes_it(world: MemoryEverlog, path: Path) -> None:
    async with world.connect(spool=path) as log:
        chats = [await log.create(f"rome-{number}") for number in range(3)]
        world.is_away = True
        for number in range(5):
            for chat in chats:
                await chat.append(said(str(number)))
        world.is_away = False
        for chat in chats:
            await chat.append(said("5"))
        await drained(log)
        for chat in chats:
            assert await texts(chat) == ["0", "1", "2", "3", "4", "5"]


async def test_an_append_whose_answer_was_lost_is_applied_once(world: MemoryEverlog, path: Path) -> None:
    async with world.connect(spool=path) as log:
        chat = await log.create("rome-42")
        world.answers_to_lose = 1_000_000
        done = await chat.append(said("once"))
        assert isinstance(done, Spooled)
        world.answers_to_lose = 0
        await drained(log)
        assert await texts(chat) == ["once"]


async def test_what_is_refused_can_be_read_with_its_reason(world: MemoryEverlog, path: Path) -> None:
    async with world.connect(spool=path) as log:
        chat = await log.create("rome-42")
        world.is_away = True
        stale = await chat.append(said("stale"), expected_version=7)
        await chat.append(said("fine"))
        await log.session("nowhere").append(said("lost"))
        world.is_away = False
        await drained(log)
        assert await texts(chat) == ["fine"]
        with pytest.raises(VersionConflictError):
            await stale.outcome()
    first, second = sorted(refused(path), key=lambda line: str(line["error"]), reverse=True)
    assert (first["error"], first["session"], first["event"]["expected_version"]) == (
        "VersionConflictError", "rome-42", 7,
    )  # fmt: skip
    assert first["event"]["data"]["parts"][0]["text"] == "stale"
    assert second["error"] == "NotFoundError"


async def test_what_a_participant_said_is_handed_over_under_its_lease_before_it_leaves(
    world: MemoryEverlog, path: Path
) -> None:
    async with world.connect(spool=path) as log:
        chat = await log.create("rome-42")
        async with chat.join("planner", kind="agent", lease_ttl_s=30) as me:
            world.is_away = True
            await me.append(said("offline"))
        world.is_away = False
        await drained(log)
        events = [event async for event in chat.timeline(after=3)]
        assert [(event.type.split(".")[1], event.actor) for event in events] == [
            ("message", "planner"), ("participant", "planner"),
        ]  # fmt: skip


async def test_a_full_spool_takes_no_more(world: MemoryEverlog, path: Path) -> None:
    log = Everlog.connect(
        "http://everlog.memory", token="acme/ada/editor", transport=world, spool=path, spool_bytes_max=400
    )
    async with log:
        chat = await log.create("rome-42")
        world.is_away = True
        await chat.append(said("fits"))
        with pytest.raises(UnavailableError, match="is full"):
            await chat.append(said("x" * 400))


async def test_another_process_that_finds_a_spool_drains_it(world: MemoryEverlog, path: Path) -> None:
    async with world.connect() as log:
        chat = await log.create("rome-42")
    world.is_away = True
    async with world.connect(spool=path) as log:
        await log.session("rome-42").append(said("left behind"))
    world.is_away = False
    async with world.connect(spool=path) as log:
        chat = log.session("rome-42")
        await chat.append(said("after"))
        await drained(log)
        assert await texts(chat) == ["left behind", "after"]


async def test_only_one_at_a_time_drains(path: Path) -> None:
    first, second = Spool(path), Spool(path)
    await first.open()
    await second.open()
    assert (await first.lock(), await first.lock(), await second.lock()) == (True, True, False)
    await first.close()
    assert await second.lock()
    await second.close()


async def test_what_a_process_said_to_be_safe_survives_its_death(world: MemoryEverlog, path: Path) -> None:
    safe = await asyncio.to_thread(killed_while_it_spools, path, 20)
    async with world.connect() as log:
        await log.create("rome-42")
    async with world.connect(spool=path) as log:
        await drained(log)
        said_there = await texts(log.session("rome-42"))
    assert said_there == [str(number) for number in range(len(said_there))]
    assert len(said_there) in (safe, safe + 1)  # the one that was being written may have been finished


async def test_a_line_that_a_crash_cut_off_is_written_again_and_one_that_was_finished_is_not(path: Path) -> None:
    spool = Spool(path)
    await spool.open()
    for name in ("a", "b"):
        await spool.put(Outgoing("rome-42", {"id": name, "type": "x"}, {}))
    finished, cut_off = json.dumps({"event": {"id": "a"}}), '{"event": {"id": "b"'
    spool.refused_path.write_text(f"{finished}\n{cut_off}")
    assert await spool.lock()
    assert spool.refused_path.read_text() == f"{finished}\n"
    waiting = await spool.oldest("rome-42")
    assert waiting is not None
    assert waiting.outgoing.event_id == "b"
    await spool.refuse(waiting, NotFoundError("there is no session rome-42"))
    assert [line["event"]["id"] for line in refused(path)] == ["a", "b"]
    assert spool.depth == 0
    await spool.close()


async def test_a_disk_that_does_not_work_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file" / "spool.db")
    with pytest.raises(UnavailableError, match=r"spool\.db"):
        await spool.open()
    await spool.close()


async def test_the_face_without_await_spools_too(world: MemoryEverlog, path: Path) -> None:
    def speak() -> tuple[bool, int]:
        with world.connect_sync(spool=path) as log:
            chat = log.create("rome-42")
            world.is_away = True
            done = chat.append(said("x"))
            assert log.spool is not None
            depth = log.spool.depth
            world.is_away = False
            assert done.outcome().version == 2
            return done.is_acknowledged, depth

    assert await asyncio.to_thread(speak) == (False, 1)


async def test_a_session_that_must_wait_holds_up_nobody_else(path: Path) -> None:
    spool, reached = Spool(path), list[str]()
    await spool.open()
    names = [f"rome-{number}" for number in range(40)]
    for name in names:
        await spool.put(Outgoing(name, {"id": f"e-{name}", "type": "com.example.noted", "data": {}}, {}))
    await spool.close()

    def answer(request: httpx.Request) -> httpx.Response:
        session = request.url.path.split("/")[3]
        if session == names[0]:
            return httpx.Response(500, text="a bug")
        reached.append(session)
        return httpx.Response(201, json={"event_id": "e", "outcome": "accepted", "version": 2, "position": None})

    transport = httpx.MockTransport(answer)
    async with Everlog.connect("http://door", token="t", transport=transport, spool=path) as log:
        await until(lambda: log.spool is not None and log.spool.depth == 1, what="all others drained")
        assert await log.session(names[1]).append(said("not spooled"))
        waiting = await log.session(names[0]).append(said("behind the first"))
        assert isinstance(waiting, Spooled)
    assert sorted(reached) == sorted([*names[1:], names[1]])
