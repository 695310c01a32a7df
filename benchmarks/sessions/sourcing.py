"""A session as an aggregate of pyeventsourcing, on an SQLite file, with snapshots. Argument: a directory.

An append is one transaction with one fsync (write-ahead log, synchronous=FULL): the event's version is its primary
key, so of two writers one gets ``IntegrityError``, reads the aggregate again and repeats; the rule that judges an
event is the aggregate's own method, run by the writer before it stores. Every ``SNAPSHOT_EVERY`` events the
application stores a snapshot, and a read is the newest one and the events behind it. As small as ours, the aggregate
holds the state document and the newest messages; with all messages in it snapshots would grow with the session.

The library is synchronous and SQLite has one writer: threads were no faster, so the writers take turns.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import IntegrityError

from benchmarks.sessions.plan import OWNER, RECENT, STATE, TEXT, Write, appending, reading

SNAPSHOT_EVERY: Final = 64
"""No divisor of the lengths at which we read, so that a read finds some events behind the snapshot, as they do."""


class Chat(Aggregate):  # type: ignore[misc]
    """A session."""

    @event("Created")  # type: ignore[untyped-decorator]
    def __init__(self, owner: str, state: dict[str, Any]) -> None:
        self.owner, self.state = owner, state
        self.recent: list[dict[str, str]] = []

    @event("Said")  # type: ignore[untyped-decorator]
    def say(self, role: str, text: str) -> None:
        """A message."""
        self.recent.append({"role": role, "text": text})
        del self.recent[:-RECENT]


class Chats(Application):  # type: ignore[misc]
    """The sessions."""

    snapshotting_intervals: ClassVar[dict[type[Chat], int]] = {Chat: SNAPSHOT_EVERY}


class SourcingStore:
    """A ``SessionStore``."""

    def __init__(self, chats: Any) -> None:
        self._chats = chats
        self._ids: dict[str, UUID] = {}

    async def create(self, session: str) -> None:
        """Begin a session."""
        chat = Chat(OWNER, dict(STATE))
        self._chats.save(chat)
        self._ids[session] = chat.id

    async def writer(self, session: str) -> Write:
        """An aggregate, read again where somebody else has written."""
        chat = self._chat(session)

        async def write() -> None:
            nonlocal chat
            while True:
                chat.say("user", TEXT)
                try:
                    self._chats.save(chat)
                except IntegrityError:
                    chat = self._chat(session)
                else:
                    return

        return write

    async def fill(self, session: str, messages: int) -> None:
        """In one transaction; the snapshots are taken all the same."""
        chat = self._chat(session)
        for _ in range(messages):
            chat.say("user", TEXT)
        self._chats.save(chat)

    async def read(self, session: str, messages: int = 0) -> int:
        """The aggregate: the first event created it, each other is a message."""
        return int(self._chat(session).version) - 1

    async def read_recent(self, session: str) -> int:
        """The same: it holds them."""
        return len(self._chat(session).recent)

    def _chat(self, session: str) -> Any:
        return self._chats.repository.get(self._ids[session])


async def measure(directory: Path) -> dict[str, float]:
    """The metrics."""
    path = directory / "eventsourcing.db"
    with Chats({"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}) as chats:
        store = SourcingStore(chats)
        return await appending(store) | await reading(store)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1])))))
