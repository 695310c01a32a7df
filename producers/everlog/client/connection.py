"""A connection to Everlog: where sessions are created and found."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx

from everlog.client.answers import appended
from everlog.client.credentials import TokenSource
from everlog.client.draining import Drainer
from everlog.client.interrupts import pending_interrupts
from everlog.client.link import CALL_TIMEOUT_S, CONNECTIONS, Link, http_client
from everlog.client.listing import list_sessions
from everlog.client.session import Session
from everlog.client.spool import SPOOL_BYTES_MAX, Spool
from everlog.client.writer import Wire
from everlog.schemas.errors import AlreadyExistsError
from everlog.schemas.http import CreateAnswer, InterruptAnswer, ListedSession

if TYPE_CHECKING:
    from everlog.client.sync import SyncEverlog


class Everlog:
    """A client of one gateway. Use it as an async context manager: ``async with Everlog.connect(...) as log``."""

    def __init__(self, link: Link, spool: Spool | None = None) -> None:
        self.spool = spool
        """Where appends wait while the gateway is away; ``spool.depth`` says how many. None without one."""
        self._link = link
        self._drainer = Drainer(spool, link) if spool is not None else None
        self._wire = Wire(link, self._drainer)
        self._draining: asyncio.Task[None] | None = None

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        token: TokenSource,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes_max: int = SPOOL_BYTES_MAX,
        call_timeout_s: float = CALL_TIMEOUT_S,
        connections: int = CONNECTIONS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> Self:
        """A client of the gateway at ``url``; connects when it is first used.

        ``token`` is one, or a function (also an async one) that gets one: it is called again whenever the gateway
        refuses the last one. ``spool`` is a file that keeps appends while the gateway is away. A call with all its
        tries ends within ``call_timeout_s``; at most ``connections`` are open at once. ``transport`` replaces the
        network, as in ``httpx.ASGITransport(app)``.
        """
        link = Link(http_client(url, token, transport, connections), call_timeout_s)
        return cls(link, Spool(spool, bytes_max=spool_bytes_max) if spool is not None else None)

    @classmethod
    def connect_sync(
        cls,
        url: str,
        *,
        token: TokenSource,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes_max: int = SPOOL_BYTES_MAX,
        call_timeout_s: float = CALL_TIMEOUT_S,
        connections: int = CONNECTIONS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> SyncEverlog:
        """The same for code without ``await``: ``with Everlog.connect_sync(...) as log``."""
        from everlog.client.sync import SyncEverlog

        return SyncEverlog(
            cls.connect(
                url,
                token=token,
                spool=spool,
                spool_bytes_max=spool_bytes_max,
                call_timeout_s=call_timeout_s,
                connections=connections,
                transport=transport,
            )
        )

    async def __aenter__(self) -> Self:
        if self.spool is not None and self._drainer is not None:
            try:
                await self.spool.open()
            except BaseException:
                await self._close()
                raise
            self._draining = asyncio.create_task(self._drainer.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.gather(self._draining, return_exceptions=True)
        await self._close()

    async def _close(self) -> None:
        if self.spool is not None:
            await self.spool.close()
        await self._link.close()

    def session(self, session_id: str) -> Session:
        """A session by its id; no I/O."""
        return Session(self._wire, session_id)

    async def create(
        self,
        session_id: str | None = None,
        *,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        state: Mapping[str, Any] | None = None,
        if_exists: Literal["error", "open"] = "error",
    ) -> Session:
        """Create a session that the token's principal owns; without an id it gets one.

        The same creation again is no error. Raises ``AlreadyExistsError`` where the session exists and was created
        otherwise, unless ``if_exists="open"``; ``UnavailableError`` when it is not known in time whether it was.
        """
        given = {"id": session_id, "title": title, "labels": labels, "state": state}
        body = {name: value for name, value in given.items() if value is not None}
        try:
            answer = await self._link.request("POST", "/v1/sessions", body=body)
            await appended(self._link, answer).outcome()
        except AlreadyExistsError:
            if if_exists == "error" or session_id is None:
                raise
            return self.session(session_id)
        return self.session(CreateAnswer.model_validate_json(answer.content).session)

    def list(
        self,
        *,
        labels: Mapping[str, str] | None = None,
        status: str | None = None,
        participant: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[ListedSession]:
        """Sessions that have all these labels, this status and this participant; the latest updated first."""
        return list_sessions(self._link, labels=labels, status=status, participant=participant, query=None, limit=limit)

    def search(
        self,
        query: str,
        *,
        labels: Mapping[str, str] | None = None,
        status: str | None = None,
        participant: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[ListedSession]:
        """Sessions that words are found in, among those that ``list`` would give."""
        return list_sessions(
            self._link, labels=labels, status=status, participant=participant, query=query, limit=limit
        )

    def interrupts(self) -> AsyncGenerator[InterruptAnswer]:
        """Interrupts that wait for a human, of all sessions; answer one with ``session(...).resolve``."""
        return pending_interrupts(self._link, "pending")
