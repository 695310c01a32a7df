"""Runs, tool calls and interrupts as objects that close themselves.

    async with me.run(agent="planner") as run:                     # run.started
        call = await run.tool_call("search", {"q": "hotels"})      # tool_call.requested
        await call.complete([data({"hotels": 3})])                 # tool_call.completed
        decision = await run.interrupt(reason="approval", message="Book it?")   # raised, and waited for
                                                                   # run.completed | failed | canceled

A body that raises ends its run as failed, with the type of the error, and with it the run's tool calls that are open,
in one atomic batch; one that is cancelled ends it as canceled. Where the closing event itself is refused or cannot be
sent, the error of the body goes on, with a note.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from everlog.client.answers import Appended
from everlog.client.interrupts import Decision, ask
from everlog.client.link import Link, new_id
from everlog.client.messages import Appendable
from everlog.schemas.errors import EverlogError
from everlog.schemas.json_values import Json
from everlog.schemas.limits import NAME_CHARACTERS, TEXT_CHARACTERS
from everlog.schemas.payloads import (
    MessageAppended,
    Part,
    Payload,
    Problem,
    RunCanceled,
    RunCompleted,
    RunFailed,
    RunStarted,
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallRequested,
    Usage,
)

if TYPE_CHECKING:
    from everlog.client.writer import Writer

CLOSING_TIMEOUT_S: Final = 10.0
"""For the event that closes what a failed or cancelled body leaves: long enough for a failover of the gateway."""


def problem_of(error: BaseException) -> Problem:
    """An exception as the error of a run or a tool call: its type and text."""
    retryable = bool(getattr(error, "retryable", False))
    return Problem(
        type=type(error).__name__[:NAME_CHARACTERS], message=str(error)[:TEXT_CHARACTERS], retryable=retryable
    )


class ToolCall:
    """A call of a tool. Await it to request it: ``call = await run.tool_call("search", {...})``; or use it as a
    context, which fails it when the body raises."""

    def __init__(self, run: Run, name: str, arguments: Json, tool_call_id: str) -> None:
        self.id, self.name = tool_call_id, name
        self._run, self._arguments = run, arguments
        self._requested_at_s = 0.0
        self.is_open = False
        """Whether it was requested and is neither completed nor failed."""

    def __await__(self) -> Generator[Any, None, Self]:
        return self._request().__await__()

    async def __aenter__(self) -> Self:
        return await self._request()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self.is_open:
            await closing(self.fail(error), error, "tool call")

    async def complete(self, parts: Sequence[Part]) -> Appended:
        """The tool has answered; the time since the request goes along."""
        duration_ms = round((monotonic() - self._requested_at_s) * 1000)
        return await self._end(ToolCallCompleted(tool_call=self.id, parts=list(parts), duration_ms=duration_ms))

    async def fail(self, error: BaseException | Problem) -> Appended:
        """The tool has failed."""
        return await self._end(self.failure(error))

    def failure(self, error: BaseException | Problem) -> ToolCallFailed:
        """The event that says so."""
        return ToolCallFailed(tool_call=self.id, error=error if isinstance(error, Problem) else problem_of(error))

    async def _request(self) -> Self:
        requested = ToolCallRequested(tool_call=self.id, name=self.name, arguments=self._arguments, run=self._run.id)
        await self._run.append(requested)
        self._requested_at_s, self.is_open = monotonic(), True
        return self

    async def _end(self, payload: Payload) -> Appended:
        done = await self._run.append(payload)
        self.is_open = False
        return done


class Run:
    """A piece of work of an agent: a context that starts it and ends it. ``id`` is its id within the session."""

    def __init__(self, writer: Writer, link: Link, agent: str, run_id: str | None, parent_run: str | None) -> None:
        self.id, self.agent = run_id or new_id(), agent
        self._writer, self._link, self._parent_run = writer, link, parent_run
        self._calls: list[ToolCall] = []
        self._usage: Usage | None = None
        self._deltas = 0

    async def __aenter__(self) -> Self:
        await self.append(RunStarted(run=self.id, agent=self.agent, parent_run=self._parent_run))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.append(RunCompleted(run=self.id, usage=self._usage))
        else:
            await closing(self.append(self._ending(error)), error, "run")

    async def append(
        self,
        what: Appendable,
        data: Mapping[str, Any] | None = None,
        *,
        expected_version: int | None = None,
        wait: Literal["verdict", "durable"] = "verdict",
        event_id: str | None = None,
    ) -> Appended:
        """As the participant's own, with this run as the correlation; a message that names no run belongs to it."""
        return await self._writer.append(
            self._belonging(what), data,
            expected_version=expected_version, wait=wait, event_id=event_id, correlation_id=self.id,
        )  # fmt: skip

    def tool_call(self, name: str, arguments: Json = None, *, tool_call_id: str | None = None) -> ToolCall:
        """A call of a tool: await it, or use it as a context."""
        call = ToolCall(self, name, arguments, tool_call_id or new_id())
        self._calls.append(call)
        return call

    async def interrupt(
        self,
        *,
        reason: str,
        message: str,
        response_schema: Mapping[str, Any] | None = None,
        tool_call: str | None = None,
        expires_at: str | None = None,
        timeout_s: float | None = None,
    ) -> Decision:
        """Ask a human, and wait for the answer.

        Raises ``TimeoutError`` after ``timeout_s`` (None: never), ``FencedError`` or ``ClosedError`` when nobody can
        answer any more. Whoever stops waiting, by time or cancellation, takes the question back.
        """
        schema = dict(response_schema) if response_schema is not None else None
        return await ask(self, self._writer, self._link, reason, message, schema, tool_call, expires_at, timeout_s)

    def run(self, agent: str, *, run_id: str | None = None) -> Run:
        """A run within this one."""
        return Run(self._writer, self._link, agent, run_id, self.id)

    def add_usage(self, *, input_tokens: int = 0, output_tokens: int = 0, cost_micros: int = 0) -> None:
        """Count what a model used; the sum goes along when the run completes."""
        before = self._usage or Usage()
        self._usage = Usage(
            input_tokens=before.input_tokens + input_tokens,
            output_tokens=before.output_tokens + output_tokens,
            cost_micros=before.cost_micros + cost_micros,
        )

    async def delta(self, content: str) -> None:
        """Show those who follow a piece of what is about to be said; it is kept nowhere."""
        body = {"run": self.id, "seq": self._deltas, "text": content}
        self._deltas += 1
        path = f"/v1/sessions/{self._writer.id}/deltas"
        await self._link.request("POST", path, body=body, headers=self._writer.acting_headers())

    def _belonging(self, what: Appendable) -> Appendable:
        if isinstance(what, str):
            return what
        if isinstance(what, Payload):
            is_loose = isinstance(what, MessageAppended | ToolCallRequested) and what.run is None
            return what.model_copy(update={"run": self.id}) if is_loose else what
        return [payload for each in what if isinstance(payload := self._belonging(each), Payload)]

    def _ending(self, error: BaseException) -> list[Payload] | Payload:
        failed = [call.failure(error) for call in self._calls if call.is_open]
        if isinstance(error, Exception):
            return (
                [*failed, RunFailed(run=self.id, error=problem_of(error))]
                if failed
                else RunFailed(run=self.id, error=problem_of(error))
            )
        canceled = RunCanceled(run=self.id, reason=type(error).__name__)
        return [*failed, canceled] if failed else canceled


async def closing(event: Any, error: BaseException, what: str) -> None:
    """Await the event that closes what an error leaves; where it fails, the error gets a note."""
    try:
        async with asyncio.timeout(CLOSING_TIMEOUT_S):
            await event
    except (EverlogError, TimeoutError) as failure:
        error.add_note(f"The {what} stays open: {failure or type(failure).__name__}")
