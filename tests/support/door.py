"""A gateway over the stores in memory, with a projector of a few lines: everything real but the services."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from everlog.adapters.memory.audit import MemoryAuditTrail
from everlog.adapters.memory.control import MemoryControlStore
from everlog.adapters.memory.deltas import MemoryDeltas
from everlog.adapters.memory.heartbeats import MemoryHeartbeats
from everlog.adapters.memory.hot import MemoryHotStore
from everlog.adapters.memory.idempotency import MemoryIdempotencyStore
from everlog.adapters.memory.log import MemoryLog
from everlog.adapters.memory.warm import MemoryWarmStore
from everlog.domain.fold import FoldRaisedError, SessionFold, Stretch, replay_session, route
from everlog.domain.parking import fold_on, park, redriven
from everlog.domain.record import Headers, LogRecord, Position, partition_of
from everlog.domain.state import State
from everlog.domain.stored import Loaded, TimelineEntry
from everlog.gateway.app import Dependencies, create_app
from everlog.gateway.keys import issue_token, new_key_pair
from everlog.gateway.live import Tiers
from everlog.gateway.settings import GatewaySettings
from everlog.gateway.trust import FixedKey
from everlog.ports.control import Live
from everlog.ports.hot import HotWrite, Outcomes, key_mark
from everlog.ports.log import LogIdentity
from everlog.ports.warm import ClosedBatch, SessionWrite
from everlog.schemas.limits import SAFE_INTEGER

IDENTITY = LogIdentity("memory", "everlog.events", 0, 4)
KEYS = new_key_pair()


class LogHistory:
    """A ``History`` that reads a log from its beginning."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log

    async def records(self, key: str, first: int, until: int, limit: int | None = None) -> list[LogRecord]:
        partition = partition_of(key.encode(), IDENTITY.partitions)
        end = min(until, (await self.log.bounds(partition)).end)
        chunks = [chunk async for chunk in self.log.read(partition, first, end)]
        return [record for chunk in chunks for record in chunk if record.key == key.encode()][:limit]

    async def state(self, key: str, *, at_version: int | None = None, until_offset: int | None = None) -> State | None:
        state, _ = await self._replay(key, at_version, until_offset)
        return state

    async def entries(self, key: str, first: int, last: int) -> list[TimelineEntry]:
        _, entries = await self._replay(key, last, None)
        return [entry for entry in entries if first <= entry.version <= last]

    async def partition(
        self, partition: int, first: int, until: int | None = None
    ) -> AsyncIterator[Sequence[LogRecord]]:
        end = (await self.log.bounds(partition)).end
        end = end if until is None else min(until, end)
        async for chunk in self.log.read(partition, first, end):
            yield chunk

    async def _replay(
        self, key: str, at_version: int | None, until: int | None
    ) -> tuple[State | None, list[TimelineEntry]]:
        partition = partition_of(key.encode(), IDENTITY.partitions)
        records = await self.records(key, 0, until if until is not None else SAFE_INTEGER)
        return replay_session(key, records, IDENTITY.era, partition, at_version=at_version)


class World:
    """The stores, the clock of tokens, and switches to break things."""

    def __init__(self, **settings: Any) -> None:
        self.log = MemoryLog()
        self.warm = MemoryWarmStore(now_ms=lambda: time.time_ns() // 1_000_000)
        self.hot = MemoryHotStore(1)
        self.control = MemoryControlStore()
        self.idempotency = MemoryIdempotencyStore()
        self.heartbeats = MemoryHeartbeats()
        self.deltas = MemoryDeltas()
        self.history = LogHistory(self.log)
        self.audit = MemoryAuditTrail()
        self.settings = GatewaySettings(
            **({"read_timeout_s": 1.0, "verdict_timeout_s": 2.0, "drain_pause_s": 0.0} | settings)
        )
        self.appended = asyncio.Event()
        self.projecting = True
        self.publishing = True

    async def append(self, key: str, value: bytes, headers: Headers = ()) -> Position | None:
        """The appender: wakes the projector."""
        position = await self.log.append(key, value, headers)
        self.appended.set()
        return position

    def dependencies(self, **changes: Any) -> Dependencies:
        return Dependencies(
            **{
                "settings": self.settings,
                "trusted_keys": FixedKey(KEYS.public),
                "audit": self.audit,
                "appender": self,
                "log_reader": self.log,
                "log_identity": IDENTITY,
                "control": self.control,
                "idempotency": self.idempotency,
                "open_tiers": self.open_tiers,
                "history": self.history,
                "heartbeats": self.heartbeats,
                "deltas": self.deltas,
                **changes,
            }
        )

    def open_tiers(self, live: Live) -> Tiers:
        return Tiers(self.hot.at_epoch(live.hot_epoch), self.warm)

    async def project(self) -> None:
        """Fold what is new of every partition into the stores."""
        for partition in range(IDENTITY.partitions):
            await self.warm.begin(IDENTITY.era, partition, 0)
            first = await self.warm.watermark(IDENTITY.era, partition) or 0
            end = (await self.log.bounds(partition)).end
            if end > first:
                await self._batch(partition, [r async for chunk in self.log.read(partition, first, end) for r in chunk])

    async def _batch(self, partition: int, records: list[LogRecord]) -> None:
        first, following = records[0].offset, records[-1].offset + 1
        sessions, outcomes = route(records, partition, IDENTITY.partitions)
        loaded = await self.warm.load(sessions)
        stretch = Stretch(IDENTITY.era, partition, first)
        bases = {key: document.base for key, document in loaded.items()}
        folds = [await self._folded(key, loaded.get(key), mine, stretch) for key, mine in sessions.items()]
        await self.warm.insert_timeline([(fold.key, entry) for fold in folds for entry in fold.entries])
        await self.warm.insert_rejections([rejection for fold in folds for rejection in fold.rejections])
        await self._redact(folds)
        writes = [SessionWrite(fold.document, bases.get(fold.key)) for fold in folds if fold.document is not None]
        await self.warm.write_sessions(writes)
        packed = dict(outcomes) | dict(pair for fold in folds for pair in fold.outcomes)
        batch = ClosedBatch(IDENTITY.era, partition, first, following, [packed[at] for at in range(first, following)])
        await self.warm.close_batch(batch)
        await self.hot.drop([fold.key for fold in folds if fold.redactions])
        shown = [(fold.document, await self._shown(fold)) for fold in folds]
        await self.hot.put([HotWrite(one, added) for one, added in shown if one is not None and one.state is not None])
        if self.publishing:
            moved = [key_mark(fold.key) for fold in folds if fold.entries]
            await self.hot.publish(Outcomes(IDENTITY.era, partition, first, list(batch.outcomes), moved))

    async def _redact(self, folds: list[SessionFold]) -> None:
        await self.warm.insert_edits([(fold.key, edit) for fold in folds for edit in fold.edits])
        for fold in folds:
            await self.warm.redact(fold.key, fold.redactions)

    async def _shown(self, fold: SessionFold) -> list[TimelineEntry]:
        return await self.warm.timeline(fold.key, 1, fold.entries[-1].version) if fold.redactions else fold.entries

    async def _folded(self, key: str, loaded: Loaded | None, records: list[LogRecord], stretch: Stretch) -> SessionFold:
        try:
            return fold_on(key, loaded, records, stretch)
        except FoldRaisedError as error:
            fresh = (await self.warm.load([key])).get(key)
            return park(key, fresh, records, stretch, error.offset, error.reason)

    async def redrive(self, key: str) -> None:
        """Fold a parked session on, and tell its outcomes one by one."""
        loaded = (await self.warm.load([key]))[key]
        parked = loaded.stored.parked
        assert parked is not None
        records = await self.history.records(key, parked.offset, parked.seen + 1)
        fold = redriven(key, loaded, records, Stretch(IDENTITY.era, loaded.stored.partition, parked.seen + 1))
        assert fold.document is not None
        await self.warm.insert_timeline([(key, entry) for entry in fold.entries])
        await self.warm.write_sessions([SessionWrite(fold.document, loaded.base)])
        await self.hot.put([HotWrite(fold.document, fold.entries)])
        for offset, packed in fold.outcomes:
            await self.hot.publish(Outcomes(IDENTITY.era, loaded.stored.partition, offset, [packed]))

    async def keep_projecting(self) -> None:
        while True:
            await self.appended.wait()
            self.appended.clear()
            if self.projecting:
                await self.project()

    @asynccontextmanager
    async def served(self, **changes: Any) -> AsyncIterator[FastAPI]:
        """The app with its background work and a projector."""
        await self.control.initialise(IDENTITY)
        app = create_app(self.dependencies(**changes))
        projecting = asyncio.create_task(self.keep_projecting())
        try:
            async with app.router.lifespan_context(app):
                for _ in range(10):  # until the subscription stands, where there is a channel
                    await asyncio.sleep(0)
                yield app
        finally:
            projecting.cancel()
            await asyncio.gather(projecting, return_exceptions=True)


def token(tenant: str = "acme", principal: str = "ada", role: str = "editor", **changes: Any) -> str:
    """A valid token, unless changed."""
    claims: dict[str, Any] = {"ttl_s": 300, "now": int(time.time()), "jti": "t-1"}
    return issue_token(KEYS.private, tenant=tenant, principal=principal, role=role, **(claims | changes))


@asynccontextmanager
async def knocking(app: FastAPI, **claims: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client at the door of an app."""
    headers = {"Authorization": f"Bearer {token(**claims)}"}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://door", headers=headers) as client:
        yield client


def message(text: str = "Hello") -> dict[str, Any]:
    """A message to append."""
    return {"type": "message.appended", "data": {"role": "user", "parts": [{"type": "text", "text": text}]}}
