"""The SDK for code without ``await``: a thin face over the async core, which runs on a loop in a thread of its own.

with Everlog.connect_sync("http://127.0.0.1:8080", token=token) as log:
    chat = log.create("rome-42", title="Trip to Rome", if_exists="open")
    with chat.join("planner", kind="agent") as me, me.run(agent="planner") as run:
        run.append(Message(role="assistant", parts=[text("Hello")]))

Every method has the name, parameters, result and errors of its twin; heartbeats and the spool go on in the background
while the caller does something else. Threads may share a connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, Literal, Self, overload

from everlog.client.answers import Appended, State
from everlog.client.connection import Everlog
from everlog.client.participant import Participant
from everlog.client.portal import Face, Portal, as_it_is, blocking, iterating
from everlog.client.rebasing import ATTEMPTS_MAX, Attempt
from everlog.client.runs import Run, ToolCall
from everlog.client.session import Session
from everlog.client.spool import Spool
from everlog.client.writer import Writer
from everlog.schemas.http import DeltaFrame, PositionAnswer, TimelineEvent
from everlog.schemas.json_values import Json
from everlog.schemas.payloads.base import ParticipantKind, ParticipantRole


class SyncAppended(Face):
    """An event that was handed over; see ``Appended``."""

    _core: Appended

    outcome = blocking(Appended.outcome, lambda portal, done: SyncAppended(portal, done))

    @property
    def event_id(self) -> str:
        """The event's id."""
        return self._core.event_id

    @property
    def result(self) -> str:
        """``accepted``, ``duplicate``, ``pending`` or ``spooled``."""
        return self._core.result

    @property
    def version(self) -> int | None:
        """The version that it made; None as long as it is not known."""
        return self._core.version

    @property
    def position(self) -> PositionAnswer | None:
        """Where its record lies on the log."""
        return self._core.position

    @property
    def is_acknowledged(self) -> bool:
        """Whether the event has left this machine; what is only spooled has not."""
        return self._core.is_acknowledged


def _appended(portal: Portal, done: Appended) -> SyncAppended:
    return SyncAppended(portal, done)


class _Context(Face):
    """A context of the core, entered and left through the portal."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        result: bool | None = self._portal.call(self._core.__aexit__(kind, error, trace))
        return result


class SyncAttempt(_Context):
    """One attempt at a change; see ``Attempt``."""

    _core: Attempt

    @property
    def number(self) -> int:
        """1 at first."""
        return self._core.number

    def __enter__(self) -> State:
        return self._portal.call(self._core.__aenter__())


class SyncToolCall(_Context):
    """A call of a tool that was requested; as a context it is failed when the body raises."""

    _core: ToolCall

    complete = blocking(ToolCall.complete, _appended)
    fail = blocking(ToolCall.fail, _appended)

    @property
    def id(self) -> str:
        """Its id within the session."""
        return self._core.id

    def __enter__(self) -> Self:
        return self


class SyncRun(_Context):
    """A piece of work; see ``Run``."""

    _core: Run

    append = blocking(Run.append, _appended)
    interrupt = blocking(Run.interrupt, as_it_is)
    delta = blocking(Run.delta, as_it_is)

    @property
    def id(self) -> str:
        """Its id within the session."""
        return self._core.id

    def add_usage(self, *, input_tokens: int = 0, output_tokens: int = 0, cost_micros: int = 0) -> None:
        """Count what a model used; the sum goes along when the run completes."""
        self._core.add_usage(input_tokens=input_tokens, output_tokens=output_tokens, cost_micros=cost_micros)

    def tool_call(self, name: str, arguments: Json = None, *, tool_call_id: str | None = None) -> SyncToolCall:
        """Request a call of a tool."""
        call = self._core.tool_call(name, arguments, tool_call_id=tool_call_id)
        return SyncToolCall(self._portal, self._portal.call(call.__aenter__()))

    def run(self, agent: str, *, run_id: str | None = None) -> SyncRun:
        """A run within this one."""
        return SyncRun(self._portal, self._core.run(agent, run_id=run_id))

    def __enter__(self) -> Self:
        self._portal.call(self._core.__aenter__())
        return self


class _SyncWriter(Face):
    """Appends to a session, as somebody; see ``Writer``."""

    _core: Writer

    append = blocking(Writer.append, _appended)
    patch = blocking(Writer.patch, _appended)
    resolve = blocking(Writer.resolve, _appended)
    update = blocking(Writer.update, as_it_is)

    @property
    def id(self) -> str:
        """The session's id."""
        return self._core.id

    def run(self, agent: str, *, run_id: str | None = None, parent_run: str | None = None) -> SyncRun:
        """A piece of work: a context that starts it, and ends it as completed or failed."""
        return SyncRun(self._portal, self._core.run(agent, run_id=run_id, parent_run=parent_run))

    def rebasing(self, *, attempts: int = ATTEMPTS_MAX) -> Iterator[SyncAttempt]:
        """Attempts at a change of what was read: ``for attempt in me.rebasing(): with attempt as state:``."""
        for attempt in self._portal.iterate(self._core.rebasing(attempts=attempts)):
            yield SyncAttempt(self._portal, attempt)


class SyncParticipant(_SyncWriter):
    """Somebody who has joined a session; see ``Participant``."""

    _core: Participant

    @property
    def name(self) -> str:
        """The participant."""
        return self._core.name

    @property
    def epoch(self) -> int | None:
        """Its lease's epoch; None where it has none."""
        return self._core.epoch

    @property
    def is_fenced(self) -> bool:
        """Whether the lease is known to be lost."""
        return self._core.is_fenced


class SyncMembership(_Context):
    """The context of a participant."""

    _core: AbstractAsyncContextManager[Participant]

    def __enter__(self) -> SyncParticipant:
        return SyncParticipant(self._portal, self._portal.call(self._core.__aenter__()))


class SyncSession(_SyncWriter):
    """A session; see ``Session``."""

    _core: Session

    state = blocking(Session.state, as_it_is)
    messages = blocking(Session.messages, as_it_is)
    timeline = iterating(Session.timeline)
    update_metadata = blocking(Session.update_metadata, _appended)
    suspend = blocking(Session.suspend, _appended)
    resume = blocking(Session.resume, _appended)
    close = blocking(Session.close, _appended)
    reopen = blocking(Session.reopen, _appended)

    def join(
        self,
        participant: str,
        *,
        kind: ParticipantKind = "human",
        role: ParticipantRole = "editor",
        lease_ttl_s: int | None = None,
        lease_wait_s: float = 0.0,
    ) -> AbstractContextManager[SyncParticipant]:
        """Join as a participant; see ``Session.join``."""
        membership = self._core.join(
            participant,
            kind=kind,
            role=role,
            lease_ttl_s=lease_ttl_s,
            lease_wait_s=lease_wait_s,
        )
        return SyncMembership(self._portal, membership)

    @overload
    def follow(self, *, after: int | None = None, deltas: Literal[False] = False) -> Iterator[TimelineEvent]: ...

    @overload
    def follow(self, *, after: int | None = None, deltas: Literal[True]) -> Iterator[TimelineEvent | DeltaFrame]: ...

    def follow(self, *, after: int | None = None, deltas: bool = False) -> Iterator[Any]:
        """The accepted events behind a version as they come, for ever; see ``Session.follow``."""
        if deltas:
            return self._portal.iterate(self._core.follow(after=after, deltas=True))
        return self._portal.iterate(self._core.follow(after=after))


class SyncEverlog(Face):
    """A client of one gateway: ``with Everlog.connect_sync(...) as log``; see ``Everlog``."""

    _core: Everlog

    create = blocking(Everlog.create, lambda portal, session: SyncSession(portal, session))
    list = iterating(Everlog.list)
    search = iterating(Everlog.search)
    interrupts = iterating(Everlog.interrupts)

    def __init__(self, core: Everlog) -> None:
        super().__init__(Portal(), core)

    @property
    def spool(self) -> Spool | None:
        """Where appends wait while the gateway is away; None without one."""
        return self._core.spool

    def __enter__(self) -> Self:
        self._portal.start()
        try:
            self._portal.call(self._core.__aenter__())
        except BaseException:
            self._portal.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._portal.call(self._core.__aexit__(kind, error, trace))
        finally:
            self._portal.close()

    def session(self, session_id: str) -> SyncSession:
        """A session by its id; no I/O."""
        return SyncSession(self._portal, self._core.session(session_id))
