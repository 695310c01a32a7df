"""Who is refused is written down, and a flood of refusals delays nobody."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI

from everlog.adapters.memory.audit import MemoryAuditTrail
from everlog.gateway.denials import WAITING
from everlog.schemas.audit import AuditEvent, Denial
from everlog.schemas.errors import UnavailableError
from support.door import World, knocking, token


class AwayTrail(MemoryAuditTrail):
    """An audit trail that does not answer at first."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        self.is_broken = False

    async def record(self, event: AuditEvent) -> None:
        await self.answers.wait()
        if self.is_broken:
            raise UnavailableError("Kafka", "away")
        await super().record(event)


async def recorded(app: FastAPI, trail: MemoryAuditTrail) -> list[tuple[AuditEvent, Denial]]:
    """All entries, once everything that was noted is recorded."""
    async with asyncio.timeout(5):
        await app.state.services.denials.drained()
    return [(entry, entry.data) for entry in await trail.tail(100) if isinstance(entry.data, Denial)]


async def test_a_request_without_a_token_and_one_without_the_right_are_recorded() -> None:
    world = World()
    async with world.served() as app, knocking(app) as client:
        secret = "eyJhbGciOiJub25lIn0.c2VjcmV0.x"
        await client.get("/v1/sessions/rome", headers={"Authorization": f"Bearer {secret}"})
        reader = {"Authorization": f"Bearer {token(role='viewer', principal='eve')}"}
        answer = await client.post("/v1/sessions", json={"id": "rome"}, headers=reader)
        assert answer.status_code == 403
        (first, unknown), (second, known) = await recorded(app, world.audit)
    assert (unknown.method, unknown.path, unknown.reason) == ("GET", "/v1/sessions/rome", "unauthenticated")
    assert first.tenantid is None and first.actor is None and secret not in first.model_dump_json()
    assert (known.reason, known.role, second.tenantid, second.actor) == ("forbidden", "viewer", "acme", "eve")
    assert known.trace_id == answer.json()["trace_id"]


@pytest.mark.parametrize("is_broken", [False, True], ids=["slow", "broken"])
async def test_a_trail_that_is_away_delays_no_answer_and_what_it_does_not_take_is_counted(is_broken: bool) -> None:
    world = World()
    trail = AwayTrail()
    trail.is_broken = is_broken
    world.audit = trail
    async with world.served() as app, knocking(app) as client:
        for _ in range(WAITING + 30):
            assert (await client.get("/v1/sessions/rome", headers={"Authorization": "none"})).status_code == 401
        trail.answers.set()
        services = app.state.services
        await services.denials.drained()
    lost = services.metrics.denials_not_audited._value.get()
    kept = len(await trail.tail(10_000))
    assert kept + lost == WAITING + 30
    assert kept == 0 if is_broken else kept >= WAITING
