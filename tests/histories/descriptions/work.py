"""Runs, tool calls and interrupts: what is opened and closed."""

from __future__ import annotations

from everlog.schemas.limits import SAFE_INTEGER
from histories.recording import Recording, history, message

RUN = {"run": "run-1", "agent": "planner"}
CALL = {"tool_call": "call-1", "name": "search", "arguments": {"q": "hotels", "stars": [4, 5], "price": 99.5}}
ASK = {"interrupt": "ask-1", "reason": "approval", "message": "Book it?"}
PROBLEM = {"type": "timeout", "code": "504", "message": "The search took too long", "retryable": True}


@history("everlog.run.started.v1")
def run_started(log: Recording) -> None:
    """A run is open under its id until it ends; its parent must be open, and then the id must not be."""
    log.created()
    log.add("accepted", "run.started", RUN)
    log.add("already_open", "run.started", RUN, detail=("run-1",))
    log.add("unknown_reference", "run.started", {**RUN, "parent_run": "run-0"}, detail=("run-0",), why="comes first")
    log.add(
        "unknown_reference", "run.started", {**RUN, "run": "run-2", "parent_run": "run-2"}, why="not its own parent"
    )
    log.add("accepted", "run.started", {**RUN, "run": "run-2", "parent_run": "run-1"})
    log.add("accepted", "run.completed", {"run": "run-1"}, why="before its child")
    log.add("accepted", "run.started", RUN, why="the id is free again")
    log.add("accepted", "tool_call.requested", {**CALL, "tool_call": "run-1"}, why="ids of each kind are their own")


@history("everlog.run.completed.v1")
def run_completed(log: Recording) -> None:
    """A run ends well and its usage is added up; a total stops at the largest safe integer."""
    log.created(participants=[{"participant": "bob", "principal": "bob", "kind": "human"}])
    log.add("unknown_reference", "run.completed", {"run": "run-1"}, detail=("run-1",))
    log.add("accepted", "run.started", RUN)
    used = {"input_tokens": 1200, "output_tokens": 350, "cost_micros": 4100}
    log.add("accepted", "run.completed", {"run": "run-1", "usage": used}, actor="bob", why="by another")
    log.add("unknown_reference", "run.completed", {"run": "run-1"}, why="ended already")
    log.add("accepted", "run.started", RUN)
    log.add("accepted", "run.completed", {"run": "run-1"}, why="without usage")
    log.add("accepted", "run.started", RUN)
    much = {"input_tokens": SAFE_INTEGER - 1000, "output_tokens": 50}
    log.add("accepted", "run.completed", {"run": "run-1", "usage": much})


@history("everlog.run.failed.v1")
def run_failed(log: Recording) -> None:
    """A run ends with an error; no usage is counted."""
    log.created()
    log.add("unknown_reference", "run.failed", {"run": "run-1", "error": PROBLEM}, detail=("run-1",))
    log.add("accepted", "run.started", RUN)
    log.add("accepted", "run.failed", {"run": "run-1", "error": PROBLEM})
    log.add("unknown_reference", "run.completed", {"run": "run-1"})
    log.add("accepted", "run.started", RUN)
    log.add(
        "accepted", "run.failed", {"run": "run-1", "error": {"type": "crash", "message": ""}}, why="the least it has"
    )


@history("everlog.run.canceled.v1")
def run_canceled(log: Recording) -> None:
    """A run is stopped, for a reason or none."""
    log.created()
    log.add("unknown_reference", "run.canceled", {"run": "run-1"}, detail=("run-1",))
    log.add("accepted", "run.started", RUN)
    log.add("accepted", "run.canceled", {"run": "run-1", "reason": "the user changed the plan"})
    log.add("unknown_reference", "run.canceled", {"run": "run-1"})
    log.add("accepted", "run.started", RUN)
    log.add("accepted", "run.canceled", {"run": "run-1"})


@history("everlog.tool_call.requested.v1")
def requested(log: Recording) -> None:
    """A tool call is open under its id until it ends; its run must be open."""
    log.created()
    log.add("unknown_reference", "tool_call.requested", {**CALL, "run": "run-1"}, detail=("run-1",))
    log.add("accepted", "run.started", RUN)
    log.add("accepted", "tool_call.requested", {**CALL, "run": "run-1"})
    log.add("already_open", "tool_call.requested", CALL, detail=("call-1",))
    log.add("unknown_reference", "tool_call.requested", {**CALL, "run": "run-2"}, why="comes before already_open")
    log.add("accepted", "run.completed", {"run": "run-1"}, why="its calls stay open")
    log.add("accepted", "tool_call.requested", {"tool_call": "call-2", "name": "now"}, why="no arguments")
    log.add("accepted", "tool_call.requested", {"tool_call": "call-3", "name": "echo", "arguments": "any JSON"})


@history("everlog.tool_call.completed.v1")
def completed(log: Recording) -> None:
    """A tool has answered."""
    log.created()
    answer = {
        "tool_call": "call-1",
        "parts": [{"type": "data", "data": {"hotels": 3, "from": 99.0}}],
        "duration_ms": 840,
    }
    log.add("unknown_reference", "tool_call.completed", answer, detail=("call-1",))
    log.add("accepted", "tool_call.requested", CALL)
    log.add("accepted", "tool_call.completed", answer)
    log.add("unknown_reference", "tool_call.completed", answer)
    log.add("accepted", "tool_call.requested", CALL)
    log.add("accepted", "tool_call.completed", {"tool_call": "call-1", "parts": message("")["parts"]})


@history("everlog.tool_call.failed.v1")
def failed(log: Recording) -> None:
    """A tool has failed."""
    log.created()
    log.add("unknown_reference", "tool_call.failed", {"tool_call": "call-1", "error": PROBLEM}, detail=("call-1",))
    log.add("accepted", "tool_call.requested", CALL)
    log.add("accepted", "tool_call.failed", {"tool_call": "call-1", "error": PROBLEM})
    log.add("unknown_reference", "tool_call.failed", {"tool_call": "call-1", "error": PROBLEM})


@history("everlog.interrupt.raised.v1")
def raised(log: Recording) -> None:
    """A human is asked; the tool call that waits for it must be open."""
    log.created()
    log.add("accepted", "interrupt.raised", ASK)
    log.add("already_open", "interrupt.raised", ASK, detail=("ask-1",))
    log.add(
        "unknown_reference", "interrupt.raised", {**ASK, "tool_call": "call-1"}, detail=("call-1",), why="comes first"
    )
    log.add("accepted", "tool_call.requested", CALL)
    schema = {"type": "object", "properties": {"approved": {"type": "boolean"}}, "required": ["approved"]}
    whole = {**ASK, "interrupt": "ask-2", "tool_call": "call-1", "response_schema": schema}
    log.add("accepted", "interrupt.raised", {**whole, "expires_at": "2026-01-02T04:00:00.5Z"})
    log.add("accepted", "tool_call.completed", {"tool_call": "call-1", "parts": message("?")["parts"]})


@history("everlog.interrupt.resolved.v1")
def resolved(log: Recording) -> None:
    """The human has answered, with any JSON or none; also after its time, which the fold does not know."""
    log.created()
    log.add("unknown_reference", "interrupt.resolved", {"interrupt": "ask-1", "status": "resolved"}, detail=("ask-1",))
    log.add("accepted", "interrupt.raised", {**ASK, "expires_at": "1999-12-31T23:59:60Z"})
    answer = {"interrupt": "ask-1", "status": "resolved", "payload": {"approved": True, "tip": 0.1}}
    log.add("accepted", "interrupt.resolved", answer)
    log.add("unknown_reference", "interrupt.resolved", {"interrupt": "ask-1", "status": "cancelled"})
    log.add("accepted", "interrupt.raised", ASK)
    log.add("accepted", "interrupt.resolved", {"interrupt": "ask-1", "status": "cancelled"})
