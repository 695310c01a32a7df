"""The SDK against everything real: its suite, a gateway that dies while it is followed, a network that cuts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from everlog.client import Everlog, Session, Spooled, UnavailableError
from everlog.client.sync import SyncEverlog
from support.command_line import CommandLine, free_base
from support.fault_proxy import FaultProxy, Way
from support.sdk_contract import Gateway, SdkContract, fresh, parts, said
from support.waiting import until

pytestmark = pytest.mark.integration

MESSAGES = 60
AT_ONCE = 300
"""More than a session takes at once."""
SEEDS = (1, 2, 3)


class Up:
    """Everything up on this machine."""

    def __init__(self, run: CommandLine) -> None:
        self.run = run
        self.url: str = run.ok("status", "--json").json["gateway"]
        self.tokens: dict[tuple[str, str], str] = {}

    def token(self, principal: str, role: str) -> str:
        if (principal, role) not in self.tokens:
            given = self.run.ok("token", "--tenant", "acme", "--principal", principal, "--role", role)
            self.tokens[principal, role] = given.out.strip()
        return self.tokens[principal, role]

    def connect(
        self,
        *,
        principal: str = "ada",
        role: str = "editor",
        spool: str | os.PathLike[str] | None = None,
        url: str | None = None,
    ) -> Everlog:
        return Everlog.connect(url or self.url, token=self.token(principal, role), spool=spool)

    def connect_sync(self, *, principal: str = "ada", role: str = "editor") -> SyncEverlog:
        return Everlog.connect_sync(self.url, token=self.token(principal, role))

    def kill_gateway(self) -> None:
        status = self.run.ok("status", "--json").json
        os.kill(status["services"]["gateway"]["pid"], signal.SIGKILL)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    run = CommandLine(tmp_path_factory.mktemp("everlog"), free_base())
    try:
        run.ok("up", "--all")
        yield Up(run)
    finally:
        run("down")


class TestEverythingReal(SdkContract):
    @pytest.fixture
    async def everlog(self, up: Up) -> Gateway:
        return up


async def follow(chat: Session, seen: list[int]) -> None:
    async with contextlib.aclosing(chat.follow(after=0)) as events:
        async for event in events:
            seen.append(event.version)  # noqa: PERF401 (it is looked at meanwhile)


async def texts(chat: Session) -> list[str | None]:
    return [part.text for message in await chat.messages() for part in parts(message)]


async def test_a_gateway_that_dies_while_it_is_followed_is_followed_on(up: Up) -> None:
    seen: list[int] = []
    async with up.connect() as log:
        chat = await log.create(fresh())
        following = asyncio.create_task(follow(chat, seen))
        for number in range(10):
            await chat.append(said(str(number)))
        await until(lambda: len(seen) == 11, what="the events before")
        await asyncio.to_thread(up.kill_gateway)
        for number in range(10, 20):
            await again(chat, number)
        await until(lambda: len(seen) >= 21, timeout_s=60, what="the events after")
        assert seen == list(range(1, 22))
        assert await texts(chat) == [str(number) for number in range(20)]
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def again(chat: Session, number: int) -> None:
    """Append one message, as often as it takes: the id makes it one."""
    async with asyncio.timeout(90):
        while True:
            try:
                done = await chat.append(said(str(number)), event_id=f"e-{number}")
                await done.outcome()
                return
            except UnavailableError:
                await asyncio.sleep(0)


async def spoil(proxy: FaultProxy, chance: random.Random) -> None:
    """Cut connections after a few bytes one way, for a moment, over and over."""
    while True:
        proxy.cut(chance.choice(list(Way)), chance.randrange(1, 1200))
        await asyncio.sleep(chance.uniform(0.02, 0.2))
        await proxy.heal()
        await asyncio.sleep(chance.uniform(0.02, 0.2))


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_network_that_cuts_makes_nothing_happen_twice(up: Up, seed: int) -> None:
    seen: list[int] = []
    host, _, port = up.url.removeprefix("http://").partition(":")
    proxy = FaultProxy(host, int(port), seed=seed)
    async with proxy, up.connect(url=f"http://{proxy.address}") as log:
        chat = await log.create(fresh())
        working = [
            asyncio.create_task(spoil(proxy, random.Random(seed))),
            asyncio.create_task(follow(chat, seen)),
        ]
        for number in range(MESSAGES):
            await again(chat, number)
        working[0].cancel()
        await asyncio.gather(working[0], return_exceptions=True)
        await proxy.heal()
        await until(lambda: len(seen) > MESSAGES, timeout_s=60, what=f"all events, seed {seed}")
        working[1].cancel()
        await asyncio.gather(working[1], return_exceptions=True)
        assert seen == list(range(1, MESSAGES + 2)), f"seed {seed}"
        assert await texts(chat) == [str(number) for number in range(MESSAGES)], f"seed {seed}"
        assert proxy.accepted > MESSAGES / 10, f"seed {seed}: it was hardly cut"


async def test_what_is_spooled_while_the_network_is_away_arrives_in_order(up: Up, tmp_path: Path) -> None:
    host, _, port = up.url.removeprefix("http://").partition(":")
    proxy = FaultProxy(host, int(port))
    async with proxy, up.connect(url=f"http://{proxy.address}", spool=tmp_path / "spool.db") as log:
        chat = await log.create(fresh())
        async with chat.join("planner", kind="agent", lease_ttl_s=30) as me:
            await me.append(said("0"))
            proxy.refuse()
            proxy.reset()
            for number in range(1, 6):
                assert isinstance(await me.append(said(str(number))), Spooled)
            await proxy.heal()
            last = await me.append(said("6"))
            assert log.spool is not None
            spool = log.spool
            await until(lambda: spool.depth == 0, timeout_s=60, what="an empty spool")
            assert (await last.outcome()).version is not None
        assert await texts(chat) == [str(number) for number in range(7)]
        assert not spool.refused_path.exists()


async def test_too_many_at_once_come_again_when_they_are_told_and_all_come_through(up: Up) -> None:
    async with up.connect() as log:
        chat = await log.create(fresh())
        done = await asyncio.gather(*(chat.append(said(str(number))) for number in range(AT_ONCE)))
        judged = await asyncio.gather(*(each.outcome(timeout_s=60) for each in done))
        assert sorted(each.version or 0 for each in judged) == list(range(2, AT_ONCE + 2))


def test_the_commands_read_and_write_the_same(up: Up) -> None:
    run, name = up.run, fresh()
    created = run.ok("create", name, "--title", f"Trip {name}", "--label", f"batch:{name}", "--json")
    assert created.json == {"session": name}
    assert run("create", name, "--title", "Other").code == 4
    assert run.ok("create", name, "--title", "Other", "--if-exists", "open", "--json").json == {"session": name}
    first = run.ok("append", name, "hello", "--id", "mine", "--json").json
    again = run.ok("append", name, "hello", "--id", "mine", "--json").json
    assert (first["version"], again["version"], again["outcome"]) == (2, 2, "duplicate")
    assert run("append", name, "late", "--expected-version", "1").code == 4
    assert run("append", name, "--data", '{"role": "boss"}').code == 2
    assert run.ok("show", name, "--min-version", "2", "--json").json["version"] == 2
    assert run.ok("messages", name, "--json").json["messages"][0]["parts"] == [{"type": "text", "text": "hello"}]
    assert [line["version"] for line in lines(run.ok("timeline", name, "--ndjson").out)] == [1, 2]
    followed = run.ok("follow", name, "--after", "0", "--limit", "2", "--ndjson")
    assert [line["version"] for line in lines(followed.out)] == [1, 2]
    found = run.ok("search", name, "--label", f"batch:{name}", "--status", "active", "--json").json
    assert [each["session"] for each in found["sessions"]] == [name]
    assert "hello" in run.ok("messages", name).out
    assert "message.appended" in run.ok("follow", name, "--after", "1", "--limit", "1").out


def test_the_commands_end_with_what_went_wrong(up: Up, tmp_path: Path) -> None:
    run = up.run
    assert run("messages", "never-heard-of").code == 3
    assert run("follow", "never-heard-of").code == 3
    assert run("search", "--label", "colonless").code == 2
    assert run("timeline", "x", "--json", "--ndjson").code in (2, 3)
    away = CommandLine(tmp_path, 19_000)
    assert away("messages", "x").code == 3


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]
