"""The spool: appends that wait on this machine's disk while the gateway is away.

A SQLite file in WAL mode with full synchronisation: ``put`` returns when the event is on disk, so it survives the
death of the process and of the machine. Several processes may put into one spool; one at a time drains it, which a
lock on a file beside it says. Whatever is refused when it is handed over goes to a file of JSON lines beside it.

    <path>                what waits
    <path>.lock           held by the process that drains
    <path>.refused.jsonl  what was refused: {"refused_at", "error", "message", "session", "event", "headers"}
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from everlog.client.outgoing import Outgoing
from everlog.schemas.errors import EverlogError, UnavailableError
from everlog.schemas.times import as_text

SPOOL_BYTES_MAX: Final = 256 * 1024 * 1024
"""What waits at most, in bytes of events: half a million usual ones, an hour of a busy agent."""
BUSY_TIMEOUT_S: Final = 5.0
"""Wait for another process that writes: it holds the file for milliseconds."""
_OWNER_ONLY: Final = 0o600
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS waiting (
    number INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, event_id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL, headers TEXT NOT NULL, bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS waiting_by_session ON waiting (session, number);
"""
_Result = TypeVar("_Result")


class Waiting(NamedTuple):
    """An append in the spool."""

    number: int
    outgoing: Outgoing


class Spool:
    """A spool file. Raises ``UnavailableError`` from every method when the disk does not work."""

    def __init__(self, path: str | os.PathLike[str], *, bytes_max: int = SPOOL_BYTES_MAX) -> None:
        self.path = Path(path)
        self.refused_path = self.path.with_name(f"{self.path.name}.refused.jsonl")
        """JSON lines: what was refused, and why."""
        self._lock_path = self.path.with_name(f"{self.path.name}.lock")
        self._bytes_max = bytes_max
        self._depth = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="everlog-spool")
        self._file: sqlite3.Connection | None = None
        self._lock: int | None = None

    @property
    def depth(self) -> int:
        """Events that wait, as of the last look at the file. Export it as the gauge ``everlog_spool_depth``."""
        return self._depth

    async def open(self) -> None:
        """Open or make the file."""
        await self._run(self._open)

    async def close(self) -> None:
        """Close the file and let others drain it."""
        await self._run(self._close)
        self._thread.shutdown()

    async def lock(self) -> bool:
        """Become the one that drains; False as long as another process is."""
        return await self._run(self._take_lock)

    async def put(self, outgoing: Outgoing) -> None:
        """Write an event to the disk; one that waits already stays as it is.

        Raises ``UnavailableError`` where the spool is full.
        """
        await self._run(lambda: self._put(outgoing))

    async def holds(self, session: str) -> bool:
        """Whether events of a session wait."""
        return self._depth > 0 and await self._run(lambda: self._count("session", session) > 0)

    async def waits(self, event_id: str) -> bool:
        """Whether an event waits."""
        return await self._run(lambda: self._count("event_id", event_id) > 0)

    async def sessions(self) -> list[str]:
        """Sessions with events that wait, the longest waiting first; looks at the file, so ``depth`` is true."""
        return await self._run(self._sessions)

    async def oldest(self, session: str) -> Waiting | None:
        """What a session must hand over next."""
        return await self._run(lambda: self._oldest(session))

    async def remove(self, waiting: Waiting) -> None:
        """It was handed over."""
        await self._run(lambda: self._remove(waiting))

    async def refuse(self, waiting: Waiting, error: EverlogError) -> None:
        """It was refused: write it to the file of those, then remove it."""
        await self._run(lambda: self._refuse(waiting, error))

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            raise UnavailableError("the spool", f"{self.path}: {error}") from error

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, _OWNER_ONLY))  # what people say is nobody else's to read
        self._file = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=FULL")
        self._file.executescript(_SCHEMA)
        self._look()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> bool:
        if self._lock is not None:
            return True
        descriptor = os.open(self._lock_path, os.O_CREAT | os.O_RDWR, _OWNER_ONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        self._mend_refused()
        return True

    @property
    def _database(self) -> sqlite3.Connection:
        if self._file is None:
            raise sqlite3.ProgrammingError("the spool is not open")
        return self._file

    def _look(self) -> int:
        """The bytes that wait; takes the depth from the file."""
        self._depth, size = self._database.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM waiting").fetchone()
        return int(size)

    def _put(self, outgoing: Outgoing) -> None:
        body, headers = json.dumps(outgoing.body, ensure_ascii=False), json.dumps(dict(outgoing.headers))
        size = len(body.encode()) + len(headers)
        if self._look() + size > self._bytes_max:
            raise UnavailableError("the spool", f"{self.path} is full: {self._depth} events wait in it")
        row = (outgoing.session, outgoing.event_id, body, headers, size)
        sql = "INSERT OR IGNORE INTO waiting (session, event_id, body, headers, bytes) VALUES (?, ?, ?, ?, ?)"
        self._database.execute(sql, row)
        self._look()

    def _count(self, column: str, value: str) -> int:
        sql = f"SELECT count(*) FROM waiting WHERE {column} = ?"  # noqa: S608 (our own two columns)
        return int(self._database.execute(sql, (value,)).fetchone()[0])

    def _sessions(self) -> list[str]:
        self._look()
        sql = "SELECT session FROM waiting GROUP BY session ORDER BY min(number)"
        return [row[0] for row in self._database.execute(sql)]

    def _oldest(self, session: str) -> Waiting | None:
        sql = "SELECT number, body, headers FROM waiting WHERE session = ? ORDER BY number LIMIT 1"
        row = self._database.execute(sql, (session,)).fetchone()
        if row is None:
            return None
        return Waiting(row[0], Outgoing(session, json.loads(row[1]), json.loads(row[2])))

    def _remove(self, waiting: Waiting) -> None:
        self._database.execute("DELETE FROM waiting WHERE number = ?", (waiting.number,))
        self._look()

    def _refuse(self, waiting: Waiting, error: EverlogError) -> None:
        """In this order, so that a crash in between loses nothing: at worst a line stands twice, which is mended."""
        outgoing = waiting.outgoing
        line: dict[str, Any] = {
            "refused_at": as_text(datetime.now(UTC)),
            "error": type(error).__name__,
            "message": str(error),
            "session": outgoing.session,
            "event": dict(outgoing.body),
            "headers": dict(outgoing.headers),
        }
        descriptor = os.open(self.refused_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, _OWNER_ONLY)
        with os.fdopen(descriptor, "ab") as file:
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._remove(waiting)

    def _mend_refused(self) -> None:
        """After a crash: cut off a line that was not finished, and forget what the last line holds already."""
        if not self.refused_path.exists():
            return
        with self.refused_path.open("r+b") as file:
            lines = file.read().splitlines(keepends=True)
            if lines and not lines[-1].endswith(b"\n"):
                file.truncate(sum(len(line) for line in lines[:-1]))
                lines.pop()
        if lines:
            self._database.execute("DELETE FROM waiting WHERE event_id = ?", (json.loads(lines[-1])["event"]["id"],))
            self._look()
