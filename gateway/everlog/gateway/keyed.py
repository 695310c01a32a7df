"""Callers' own keys: what they stand for, and how a first try is told from a retry.

A key belongs to a tenant's principal and a place. The event id is derived from these, so that the ring of the session
knows a retry; the record in the control store knows it for longer, and what was asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from everlog.domain.event import Event
from everlog.gateway.identity import Identity
from everlog.ports.idempotency import KEPT_S, RECORDED_AT_ONCE, FirstTry, IdempotencyStore
from everlog.schemas import events
from everlog.schemas.errors import UnavailableError

SWEEP_PERIOD_S: Final = 3600.0
"""Between two sweeps: what is an hour too old costs little."""
_IDEMPOTENCY: Final = UUID("0d9a3c52-6c5f-5d0e-9a57-4a4f1f0c7f0b")
"""Namespace of event ids that are derived from a caller's key; a random one, never to change."""

log = logging.getLogger(__name__)


class OwnKey(NamedTuple):
    """A key of its caller's; ``place`` is a session id, or a route where there is no session yet."""

    identity: Identity
    place: str
    key: str

    @property
    def whole(self) -> str:
        """What it is recorded under; unambiguous: no identifier holds a slash, and each route begins with one."""
        return f"{self.identity.tenant}/{self.identity.principal}/{self.place}/{self.key}"

    @property
    def event_id(self) -> str:
        """The id of the event that it stands for: the same at every try."""
        return str(uuid5(_IDEMPOTENCY, self.whole))


def request_digest(read: Event, written: events.Event) -> bytes:
    """The digest of what an event asks for: its content, its condition, and what it refers to.

    Who retries may do so under a later lease: the epoch does not count.
    """
    terms = f"{written.expectedversion}\n{written.correlationid}\n{written.causationid}\n"
    return sha256(terms.encode() + read.content_hash).digest()


class _Asked(NamedTuple):
    first: FirstTry
    known: asyncio.Future[FirstTry | None]


class FirstTries:
    """Records first tries for many requests at once: while a batch is on its way, the next one gathers."""

    def __init__(self, store: IdempotencyStore, timeout_s: float, now: Callable[[], datetime]) -> None:
        self._store, self._timeout_s, self._now = store, timeout_s, now
        self._waiting: list[_Asked] = []
        self._recording: asyncio.Task[None] | None = None

    async def record(self, key: str, event_id: str, digest: bytes, seen_version: int) -> FirstTry | None:
        """Remember a request; None if it is the first of its key, else the one before it.

        Raises ``UnavailableError``: it may be recorded all the same, and nothing may be handed over.
        """
        first = FirstTry(key, digest, event_id, seen_version, _ms(self._now()))
        asked = _Asked(first, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._recording is None or self._recording.done():
            self._recording = asyncio.create_task(self._record_waiting(), name="record idempotency keys")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asked.known
        except TimeoutError:
            raise UnavailableError("the control store", "the key was not recorded in time") from None

    async def keep_swept(self) -> None:
        """Forget what is too old, again and again, until cancelled: not every server does so by itself."""
        while True:
            try:
                swept = await self._store.sweep(_ms(self._now()) - KEPT_S * 1000)
                log.debug("Forgot %d idempotency keys", swept)
            except UnavailableError as error:
                log.warning("Old idempotency keys stay for now: %s", error)
            await asyncio.sleep(SWEEP_PERIOD_S)

    async def _record_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:RECORDED_AT_ONCE], self._waiting[RECORDED_AT_ONCE:]
            batch = [asked for asked in batch if not asked.known.done()]  # others have gone away
            try:
                known = await self._store.record([asked.first for asked in batch]) if batch else []
            except Exception as error:  # whatever it is, each of those who wait must hear of it
                for asked in batch:
                    if not asked.known.done():
                        asked.known.set_exception(error)
                continue
            for asked, before in zip(batch, known, strict=True):
                if not asked.known.done():
                    asked.known.set_result(before)


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
