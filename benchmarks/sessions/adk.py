"""Google ADK's ``DatabaseSessionService`` on an SQLite file through aiosqlite. Argument: a directory.

An append is one transaction with its own fsyncs (SQLite's defaults: rollback journal, synchronous=FULL): it reads
three rows, compares the session's time stamp with the handle's, updates it and inserts the event. A handle that
somebody else outran gets ``StaleSessionError`` and has to be read again; a lock of the process keeps the appends of a
session apart, so that two processes rely on SQLite's own. What the error does not say is what was written meanwhile.

``get_session`` reads all events, and that is what ADK's ``Runner`` calls unless told otherwise; ``recent`` is the
same with ``num_recent_events``, the cheapest way to what an agent needs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Final

from google.adk.errors import StaleSessionError
from google.adk.events import Event
from google.adk.sessions import DatabaseSessionService
from google.adk.sessions.base_session_service import GetSessionConfig
from google.adk.sessions.schemas.v1 import StorageEvent
from google.genai.types import Content, Part

from benchmarks.sessions.plan import OWNER, RECENT, STATE, TEXT, Write, appending, reading

APP: Final = "bench"


class AdkStore:
    """A ``SessionStore``."""

    def __init__(self, service: Any) -> None:
        self._service = service

    async def create(self, session: str) -> None:
        """Begin a session."""
        await self._service.create_session(app_name=APP, user_id=OWNER, session_id=session, state=dict(STATE))

    async def writer(self, session: str) -> Write:
        """A handle, read again without its events where it has become stale."""
        handle = await self._handle(session, 0)

        async def write() -> None:
            nonlocal handle
            while True:
                try:
                    await self._service.append_event(handle, _message())
                except StaleSessionError:
                    handle = await self._handle(session, 0)
                else:
                    return

        return write

    async def fill(self, session: str, messages: int) -> None:
        """The rows that ``append_event`` writes, in one transaction: one by one it would take minutes."""
        handle = await self._handle(session, 0)
        async with self._service.database_session_factory() as rows:
            rows.add_all(StorageEvent.from_event(handle, _message()) for _ in range(messages))
            await rows.commit()

    async def read(self, session: str, messages: int = 0) -> int:
        """The session with all its events."""
        return len((await self._handle(session)).events)

    async def read_recent(self, session: str) -> int:
        """The session with its newest events."""
        return len((await self._handle(session, RECENT)).events)

    async def _handle(self, session: str, events: int | None = None) -> Any:
        config = GetSessionConfig(num_recent_events=events) if events is not None else None
        return await self._service.get_session(app_name=APP, user_id=OWNER, session_id=session, config=config)


def _message() -> Any:
    return Event(author="user", invocation_id="turn", content=Content(role="user", parts=[Part(text=TEXT)]))


async def measure(directory: Path) -> dict[str, float]:
    """The metrics."""
    async with DatabaseSessionService(f"sqlite+aiosqlite:///{directory / 'adk.db'}") as service:
        store = AdkStore(service)
        return await appending(store) | await reading(store)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1])))))
