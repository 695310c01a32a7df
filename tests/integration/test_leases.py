"""A MAD that stalls past its lease and comes back writes nothing more; one that dies loses its lease.

Gateway, projector and MADs are processes, the services are real. ``TEST_LEASE_TTL_S=30 TEST_LEASE_STOP_S=40`` runs it
at the usual length of a lease.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from everlog.cli.services import initialise
from everlog.client import Everlog, Message, Session, TimelineEvent, text
from everlog.gateway.keys import KeyPair, issue_token, new_key_pair
from everlog.local.ports import Ports
from everlog.local.stack import Addresses
from support.deployment import variables_of
from support.waiting import until

pytestmark = pytest.mark.integration

TTL_S = int(os.environ.get("TEST_LEASE_TTL_S", "3"))
STOP_S = float(os.environ.get("TEST_LEASE_STOP_S", "5"))
"""How long a MAD stalls: longer than its lease."""
CALM_TTL_S = 10
"""Of MADs that do not stall: a process that starts beside them on a busy machine must not make them look dead."""
LATER_WRITES = 60
DEADLINE_S = 60.0
MAD = Path(__file__).with_name("mad_process.py")
WAYS = {"sdk", "with its epoch", "without an epoch"}


@dataclass(frozen=True)
class Deployment:
    """A log and stores of this test alone, with a projector."""

    directory: Path
    keys: KeyPair
    session: str
    """Of a name that no other deployment has: they share a Redis."""

    def token(self, principal: str, role: str = "editor") -> str:
        return issue_token(
            self.keys.private, tenant="acme", principal=principal, role=role, ttl_s=3600, now=int(time.time()), jti="t"
        )


@pytest.fixture
async def deployment(services: Addresses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Deployment]:
    keys = new_key_pair()
    (tmp_path / "public.pem").write_bytes(keys.public)
    monkeypatch.setenv("EVERLOG_GATEWAY__PUBLIC_KEY_PATH", str(tmp_path / "public.pem"))
    name = f"leases-{uuid.uuid4().hex[:8]}"
    for variable, value in variables_of(services, name, partitions=2).items():
        monkeypatch.setenv(variable, value)
    await asyncio.to_thread(initialise)
    async with running(tmp_path, "everlog.cli", "projector", PROJECTOR__METRICS_PORT=Ports.free().projector):
        yield Deployment(tmp_path, keys, name)


@asynccontextmanager
async def running(directory: Path, module: str, *arguments: str, **variables: object) -> AsyncIterator[None]:
    """A service until SIGTERM, its log in a file."""
    changed = {f"EVERLOG_{name}": str(value) for name, value in variables.items()}
    with (directory / f"{arguments[0]}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments,
            env={**os.environ, **changed}, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


@asynccontextmanager
async def gateway(deployment: Deployment, *, lease_grace_s: float) -> AsyncIterator[str]:
    """The address of a gateway that serves."""
    port = Ports.free().gateway
    url = f"http://127.0.0.1:{port}"

    async def answers() -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{url}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    variables = {"GATEWAY__PORT": port, "GATEWAY__LEASE_GRACE_S": lease_grace_s}
    async with running(deployment.directory, "everlog.cli", "gateway", **variables):
        await until(answers, timeout_s=DEADLINE_S, what="a gateway that is ready")
        yield url


class MadProcess:
    """A MAD, and what it said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.told: list[dict[str, Any]] = []

    async def listen(self) -> None:
        """Keep what it says."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.told.append(json.loads(line))

    def accepted(self) -> list[int]:
        """Versions of its writes."""
        return [facts["version"] for facts in self.told if facts.get("version")]

    def refused(self, since: int) -> list[tuple[str, str]]:
        """What was refused of what it tried since."""
        return [(facts["way"], facts["refused"]) for facts in self.told[since:] if "refused" in facts]


@asynccontextmanager
async def mad(url: str, token: str, session: str, name: str, ttl_s: int = TTL_S) -> AsyncIterator[MadProcess]:
    """A MAD that has a lease and writes, until it is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(MAD), url, token, session, name, str(ttl_s), stdout=asyncio.subprocess.PIPE
    )
    mad = MadProcess(process)
    listening = asyncio.create_task(mad.listen())
    try:
        await until(lambda: len(mad.accepted()) > 4, timeout_s=DEADLINE_S, what="a MAD that writes")
        yield mad
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening


async def begun(log: Everlog, deployment: Deployment) -> Session:
    """The session, with an agent in it."""
    chat = await log.create(deployment.session)
    await chat.append("participant.joined", {"participant": "planner", "principal": "mad-1", "kind": "agent"})
    return chat


async def timeline(chat: Session) -> list[TimelineEvent]:
    return [event async for event in chat.timeline()]


async def test_a_mad_that_stalls_past_its_lease_writes_nothing_more(deployment: Deployment) -> None:
    owner, token = deployment.token("ada"), deployment.token("mad-1")
    async with (
        gateway(deployment, lease_grace_s=600) as url,
        Everlog.connect(url, token=owner) as ada,
        Everlog.connect(url, token=token) as other,
    ):
        chat = await begun(ada, deployment)
        async with mad(url, token, chat.id, "planner") as stalled:
            stalled.process.send_signal(signal.SIGSTOP)
            stopped_s = time.monotonic()
            joining = other.session(chat.id).join("planner", kind="agent", lease_ttl_s=TTL_S, lease_wait_s=DEADLINE_S)
            async with joining as taker:
                taken_after_s = time.monotonic() - stopped_s
                assert taker.epoch is not None
                await taker.append(Message(role="assistant", parts=[text("I go on")]))
                await asyncio.sleep(max(0.0, STOP_S - (time.monotonic() - stopped_s)))  # the stall itself
                before = len(stalled.told)
                stalled.process.send_signal(signal.SIGCONT)
                await until(
                    lambda: len(stalled.refused(before)) >= LATER_WRITES, timeout_s=DEADLINE_S, what="later writes"
                )
                await taker.append(Message(role="assistant", parts=[text("I still hold it")]))
                events = await timeline(chat)
        refused = stalled.refused(before)
        assert {way for way, _ in refused} == WAYS
        assert {reason for _, reason in refused} == {"fenced", "FencedError"}
        assert not [version for version in stalled.accepted() if version > taker.epoch]
        later = [event.data["parts"][0]["text"] for event in events if event.version > taker.epoch]
        assert later == ["I go on", "I still hold it"]
        superseding = next(event for event in events if event.version == taker.epoch)
        assert superseding.data["supersedes"] == stalled.told[0]["epoch"]
        print(f"taken over {taken_after_s:.1f} s after the stall began, {len(refused)} later writes refused")  # noqa: T201


async def test_the_lease_of_a_mad_that_died_is_shown_and_revoked(deployment: Deployment) -> None:
    owner, token = deployment.token("ada"), deployment.token("mad-1")
    async with gateway(deployment, lease_grace_s=0) as url, Everlog.connect(url, token=owner) as ada:
        chat = await begun(ada, deployment)
        async with mad(url, token, chat.id, "planner", CALM_TTL_S) as dying:
            shown = await lease_command(deployment, url, "list", chat.id)
            epoch = dying.told[0]["epoch"]
            assert [(one["participant"], one["epoch"], one["state"]) for one in shown["leases"]] == [
                ("planner", epoch, "alive")
            ]
            assert (await chat.state()).open.runs
        await until(lambda: is_free(chat), timeout_s=DEADLINE_S, what="a revoked lease")
        last = (await timeline(chat))[-1]
        assert (last.type, last.actor) == ("everlog.lease.revoked.v1", "system:gateway")
        assert last.data == {"participant": "planner", "epoch": epoch, "reason": "no heartbeat"}
        assert not (await chat.state()).open.runs
        assert (await lease_command(deployment, url, "list", chat.id))["leases"] == []


async def test_an_operator_takes_a_lease_away_with_the_command(deployment: Deployment) -> None:
    owner, token = deployment.token("ada"), deployment.token("mad-1")
    async with gateway(deployment, lease_grace_s=600) as url, Everlog.connect(url, token=owner) as ada:
        chat = await begun(ada, deployment)
        async with mad(url, token, chat.id, "planner", CALM_TTL_S) as stuck:
            revoke = ("revoke", chat.id, "planner", "--reason", "stuck")
            tried = await lease_command(deployment, url, *revoke, "--dry-run")
            assert (tried["epoch"], tried["version"]) == (stuck.told[0]["epoch"], None)
            done = await lease_command(deployment, url, *revoke, "--yes")
            await until(lambda: bool(stuck.refused(0)), timeout_s=DEADLINE_S, what="a MAD that is fenced")
        events = {event.version: event for event in await timeline(chat)}
        assert events[done["version"]].actor == "system:operator"
        assert events[done["version"]].data["reason"] == "olga: stuck"
        assert max(stuck.accepted()) < done["version"]


async def is_free(chat: Session) -> bool:
    return all(entry.lease_epoch is None for entry in (await chat.state()).participants)


async def lease_command(deployment: Deployment, url: str, *arguments: str) -> Any:
    """What ``everlog lease`` says to an operator."""
    token = deployment.token("olga", "operator")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "everlog.cli", "lease", *arguments, "--json",
        env={**os.environ, "EVERLOG_CLIENT__URL": url, "EVERLOG_CLIENT__TOKEN": token},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(out)
