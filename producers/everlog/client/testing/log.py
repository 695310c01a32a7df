"""Sessions in memory: a list of records each, judged and folded by the law one by one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from time import monotonic, time_ns
from typing import Any, NamedTuple

from everlog.domain.encoding import encode
from everlog.domain.event import Event
from everlog.domain.fold import replay_session
from everlog.domain.law import LAW
from everlog.domain.record import Record
from everlog.domain.redaction import blanked, redactions
from everlog.domain.state import State
from everlog.domain.stored import TimelineEntry
from everlog.domain.verdicts import Accepted, Duplicate, Rejected, Verdict
from everlog.schemas import events
from everlog.schemas.errors import InvalidEventError, NotFoundError
from everlog.schemas.times import as_text

Show = Callable[[object], None]


class Judged(NamedTuple):
    """An event's id and its verdict; None as long as it is withheld."""

    event_id: str
    verdict: Verdict | None


class MemorySession:
    """A session: its records, its state, and who follows it."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.state: State | None = None
        self.records: list[Record] = []
        self.entries: list[TimelineEntry] = []
        self.verdicts: dict[str, Verdict] = {}
        self.alive_until_s: dict[tuple[str, int], float] = {}
        """(participant, epoch) -> when its lease lapses, by the monotonic clock."""
        self._seen: dict[str, int] = {}
        self._waiting: list[events.Event] = []
        self._followers: list[Show] = []

    @property
    def version(self) -> int:
        """The session's version; 0 before its creation."""
        return self.state.version if self.state is not None else 0

    def existing(self) -> State:
        """The state. Raises ``NotFoundError``."""
        if self.state is None:
            raise NotFoundError(f"there is no session {self.key.partition('/')[2]}")
        return self.state

    def at(self, version: int) -> State:
        """The state at a version. Raises ``NotFoundError``."""
        if version > self.existing().version:
            raise NotFoundError(f"the session has no version {version}, it is at {self.version}")
        state, _ = replay_session(self.key, self.records, 0, 0, at_version=version)
        if state is None:
            raise NotFoundError(f"the session has no version {version}")
        return state

    def take(self, event: events.Event, *, withheld: bool) -> Judged:
        """Judge an event, or keep it for later. Raises ``InvalidEventError``, ``LimitExceededError``."""
        seen = self._seen.get(event.id)
        if seen is not None:
            event = event.model_copy(update={"retry": True, "seenversion": seen})
        try:
            encode(event)
        except InvalidEventError:
            events.check_data(event.type, event.data)  # names each wrong field
            raise
        self._seen.setdefault(event.id, self.version)
        if withheld:
            self._waiting.append(event)
            return Judged(event.id, None)
        return Judged(event.id, self._judge(event))

    def release(self) -> None:
        """Judge what was kept."""
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._judge(event)

    def follow(self, show: Show) -> None:
        """Call for every accepted event's entry, and for every delta."""
        self._followers.append(show)

    def unfollow(self, show: Show) -> None:
        """Call no more."""
        self._followers.remove(show)

    def tell(self, what: object) -> None:
        """Show something to those who follow."""
        for show in list(self._followers):
            show(what)

    def _judge(self, event: events.Event) -> Verdict:
        record = Record(0, len(self.records), time_ns() // 1_000_000, self.key.encode(), encode(event))
        decoded = LAW.decode(record.value)
        if not isinstance(decoded, Event):
            raise InvalidEventError(f"not a valid {event.type}")
        self.state, verdict = LAW.step(self.state, decoded)
        self.records.append(record)
        first = verdict.first if isinstance(verdict, Duplicate) else verdict
        if not isinstance(first, Rejected) or event.id not in self.verdicts:
            self.verdicts[event.id] = first
        if isinstance(verdict, Accepted):
            entry = TimelineEntry(verdict.version, record.offset, record.timestamp, record.value or b"")
            self.entries.append(entry)
            if taken_back := redactions(decoded.payload, verdict.version):
                self.entries = [blanked(each, taken_back) for each in self.entries]
            self.tell(entry)
        return verdict


class MemoryLog:
    """All sessions. Threads may share it: whoever reads or writes holds ``lock``."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.sessions: dict[str, MemorySession] = {}

    def session(self, key: str) -> MemorySession:
        """A session, also one that does not exist yet."""
        return self.sessions.setdefault(key, MemorySession(key))

    async def following(self, session: MemorySession, after: int) -> AsyncGenerator[object]:
        """The entries behind a version as they come, and deltas."""
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[object]()

        def show(what: object) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, what)

        with self.lock:
            for entry in session.entries[after:]:
                queue.put_nowait(entry)
            session.follow(show)
        try:
            while True:
                yield await queue.get()
        finally:
            with self.lock:
                session.unfollow(show)


def new_event(
    tenant: str, session: str, actor: str, type_name: str, data: dict[str, Any], event_id: str, **attributes: Any
) -> events.Event:
    """An event of now."""
    return events.Event.model_construct(
        id=event_id,
        source="/gateway",
        type=type_name,
        subject=session,
        tenantid=tenant,
        time=as_text(datetime.now(UTC)),
        actor=actor,
        rules=events.RULES,
        data=data,
        **attributes,
    )


def is_alive(session: MemorySession, participant: str, epoch: int) -> bool:
    """Whether a lease has not lapsed."""
    return session.alive_until_s.get((participant, epoch), 0.0) > monotonic()
