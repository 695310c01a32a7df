"""A door whose clock can be put forward, and a session with agents in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from everlog.adapters.memory.heartbeats import MemoryHeartbeats
from everlog.adapters.memory.log import MemoryLog
from everlog.gateway.services import Services
from everlog.gateway.steadiness import GAP_S
from everlog.schemas.http import LEASE_EPOCH_HEADER, PARTICIPANT_HEADER, AppendAnswer, StateAnswer
from support.door import World, knocking, message
from support.time_travel import Clock

SESSION = "/v1/sessions/rome-42"
TTL_S = 30


class Mad:
    """A process that acts as a participant: ``epoch`` is the one that it believes to hold."""

    def __init__(self, client: httpx.AsyncClient, participant: str) -> None:
        self.client, self.participant = client, participant
        self.epoch: int | None = None
        self.path = f"{SESSION}/participants/{participant}/lease"

    @property
    def headers(self) -> dict[str, str]:
        """Who it acts as, under which epoch."""
        epoch = {LEASE_EPOCH_HEADER: str(self.epoch)} if self.epoch is not None else {}
        return {PARTICIPANT_HEADER: self.participant, **epoch}

    async def acquire(self, headers: Any = None, **body: Any) -> httpx.Response:
        """Ask for the lease; the epoch is kept."""
        answer = await self.client.put(self.path, json={"ttl_s": TTL_S} | body, headers=headers)
        if answer.status_code == 201:
            self.epoch = answer.json()["epoch"]
        return answer

    async def beat(self) -> httpx.Response:
        """A heartbeat."""
        return await self.client.post(f"{self.path}/heartbeat", headers=self.headers)

    async def release(self, **query: str) -> httpx.Response:
        """Give the lease back."""
        return await self.client.delete(self.path, params=query, headers=self.headers)

    async def say(self, text: str = "Hello", *, with_epoch: bool = True) -> httpx.Response:
        """Append a message, with or without the epoch."""
        headers = self.headers if with_epoch else {PARTICIPANT_HEADER: self.participant}
        return await self.client.post(f"{SESSION}/events", json=message(text), headers=headers)


class House:
    """A served door; ``owner`` owns the session."""

    def __init__(self, world: World, app: FastAPI, clock: Clock, heartbeats: MemoryHeartbeats, clients: Any) -> None:
        self.world, self.app, self.clock, self.heartbeats = world, app, clock, heartbeats
        self._clients = clients
        self.owner: httpx.AsyncClient

    @property
    def services(self) -> Services:
        """What the routes work with."""
        services: Services = self.app.state.services
        return services

    async def client(self, **claims: Any) -> httpx.AsyncClient:
        """Another caller at the door."""
        client: httpx.AsyncClient = await self._clients.enter_async_context(knocking(self.app, **claims))
        return client

    async def mad(self, participant: str = "planner", principal: str = "mad-1") -> Mad:
        """A process of a principal that acts as a participant."""
        return Mad(await self.client(principal=principal), participant)

    async def go_on(self, seconds: float, *beating: Mad) -> None:
        """Let time pass, with a heartbeat of these every few seconds."""
        while seconds > 0:
            self.clock.forward(min(seconds, GAP_S - 1))
            seconds -= GAP_S - 1
            await self.services.steadiness.steady_s()
            for mad in beating:
                assert (await mad.beat()).status_code == 200

    async def state(self) -> StateAnswer:
        """The session's state."""
        return StateAnswer.model_validate((await self.owner.get(SESSION)).json())

    async def events(self) -> list[dict[str, Any]]:
        """The session's timeline."""
        events: list[dict[str, Any]] = (await self.owner.get(f"{SESSION}/events")).json()["events"]
        return events

    async def epoch_of(self, participant: str = "planner") -> int | None:
        """The epoch under which a lease is held."""
        entries = {entry.participant: entry.lease_epoch for entry in (await self.state()).participants}
        return entries[participant]


@asynccontextmanager
async def house(**changes: Any) -> AsyncIterator[House]:
    """A door with a session of ada in which planner (mad-1) and critic (mad-2) are present agents."""
    world, clock = World(), Clock()
    world.log = world.history.log = MemoryLog(clock=lambda: round(clock.now().timestamp() * 1000))
    heartbeats = changes.pop("heartbeats", None) or MemoryHeartbeats(clock.monotonic_s)
    clocks = {"monotonic_s": clock.monotonic_s, "now": clock.now}
    async with (
        world.served(heartbeats=heartbeats, **clocks, **changes) as app,
        AsyncExitStack() as clients,
    ):
        made = House(world, app, clock, heartbeats, clients)
        made.owner = await made.client()
        members = [
            {"participant": "planner", "principal": "mad-1", "kind": "agent"},
            {"participant": "critic", "principal": "mad-2", "kind": "agent"},
        ]
        answer = await made.owner.post("/v1/sessions", json={"id": "rome-42", "participants": members})
        assert AppendAnswer.model_validate(answer.json()).version == 1, answer.text
        yield made
