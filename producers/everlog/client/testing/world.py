"""The double: a log in memory, its clients, and what a test can do to them."""

from __future__ import annotations

import asyncio
import os
from typing import Any, NamedTuple

import httpx

from everlog.client.connection import Everlog
from everlog.client.sync import SyncEverlog
from everlog.client.testing.log import MemoryLog
from everlog.client.testing.routes import Routes
from everlog.schemas.errors import NotFoundError

URL = "http://everlog.memory"


class _Client(NamedTuple):
    url: str
    arguments: dict[str, Any]


class MemoryEverlog(httpx.AsyncBaseTransport):
    """Everlog in memory. All clients that it connects share its sessions, also from several threads."""

    def __init__(self) -> None:
        self.is_away = False
        """While True nobody can connect, as if the gateway were down."""
        self.answers_to_lose = 0
        """So many answers get lost on their way, after the requests were carried out."""
        self._log = MemoryLog()
        self._routes = Routes(self._log)

    def connect(
        self,
        *,
        principal: str = "ada",
        role: str = "editor",
        tenant: str = "acme",
        spool: str | os.PathLike[str] | None = None,
        call_timeout_s: float = 5.0,
    ) -> Everlog:
        """A client whose token says this principal and role."""
        url, given = self._client(principal, role, tenant, spool, call_timeout_s)
        return Everlog.connect(url, **given)

    def connect_sync(
        self,
        *,
        principal: str = "ada",
        role: str = "editor",
        tenant: str = "acme",
        spool: str | os.PathLike[str] | None = None,
        call_timeout_s: float = 5.0,
    ) -> SyncEverlog:
        """The same for code without ``await``."""
        url, given = self._client(principal, role, tenant, spool, call_timeout_s)
        return Everlog.connect_sync(url, **given)

    def withhold_verdicts(self) -> None:
        """From now on appends are handed over, and answered without a verdict."""
        self._routes.is_withholding = True

    def release_verdicts(self) -> None:
        """Judge what was handed over meanwhile, and what comes, at once."""
        with self._log.lock:
            self._routes.is_withholding = False
            for session in self._log.sessions.values():
                session.release()

    def lapse(self, session: str, participant: str, *, tenant: str = "acme") -> None:
        """Let a participant's lease lapse as if its heartbeats had stopped: another process may take it over.

        Raises ``NotFoundError`` where it holds none.
        """
        with self._log.lock:
            held = self._log.session(f"{tenant}/{session}")
            epoch = held.existing().standing.lease_epoch(participant)
            if not epoch:
                raise NotFoundError(f"{participant} holds no lease in session {session}")
            held.alive_until_s.pop((participant, epoch), None)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of a client, after a moment in which others go on, as on a network."""
        await asyncio.sleep(0)
        if self.is_away:
            raise httpx.ConnectError("the gateway is away", request=request)
        await request.aread()
        answer = self._routes.answer(request)
        if self.answers_to_lose > 0:
            self.answers_to_lose -= 1
            raise httpx.ReadError("the answer was lost", request=request)
        return answer

    def _client(
        self, principal: str, role: str, tenant: str, spool: str | os.PathLike[str] | None, call_timeout_s: float
    ) -> _Client:
        token = f"{tenant}/{principal}/{role}"
        return _Client(URL, {"token": token, "transport": self, "spool": spool, "call_timeout_s": call_timeout_s})
