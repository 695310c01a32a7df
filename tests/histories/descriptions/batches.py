"""Batches: all or nothing, one version."""

from __future__ import annotations

from typing import Any

from everlog.schemas.identifiers import full_type
from histories.recorded import Fill
from histories.recording import Recording, history, message

RUN = {"run": "run-1", "agent": "planner"}
CALL = {"tool_call": "call-1", "name": "search"}
ASK = {"interrupt": "ask-1", "reason": "approval", "message": "Book it?"}
PROBLEM = {"type": "timeout", "message": "too long"}
SAID = ("message.appended", message("hi"))


def batch(*events: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """The data of a batch."""
    return {"events": [{"type": full_type(name), "data": data} for name, data in events]}


@history("everlog.batch.appended.v1")
def batch_appended(log: Recording) -> None:
    """A batch holds every type that it may hold, in order, under one version: runs, calls and interrupts opened
    earlier in it may be named."""
    log.created(title="Trip", state={"city": "Rome"})
    answer = {"role": "assistant", "parts": message("Rome it is")["parts"], "run": "run-1", "reply_to": {"version": 1}}
    opened = batch(
        SAID,
        ("run.started", RUN),
        ("run.started", {**RUN, "run": "run-2", "parent_run": "run-1"}),
        ("run.started", {**RUN, "run": "run-3"}),
        ("message.appended", answer),
        ("tool_call.requested", {**CALL, "run": "run-1"}),
        ("tool_call.requested", {**CALL, "tool_call": "call-2"}),
        ("interrupt.raised", {**ASK, "tool_call": "call-1"}),
    )
    log.add("accepted", "batch.appended", opened, id="opened")
    log.add("duplicate", "batch.appended", opened, id="opened", retry=True, why="one event, one outcome")
    log.add("id_reused", "batch.appended", batch(SAID), id="opened")
    artifact = {
        "artifact": "a",
        "name": "a",
        "media_type": "text/plain",
        "size_bytes": 1,
        "sha256": "0" * 64,
        "uri": "s3://a",
    }
    closed = batch(
        ("interrupt.resolved", {"interrupt": "ask-1", "status": "resolved", "payload": True}),
        ("tool_call.completed", {"tool_call": "call-1", "parts": message("3")["parts"]}),
        ("tool_call.failed", {"tool_call": "call-2", "error": PROBLEM}),
        ("run.canceled", {"run": "run-2"}),
        ("run.failed", {"run": "run-3", "error": PROBLEM}),
        ("run.completed", {"run": "run-1", "usage": {"input_tokens": 7}}),
        ("message.edited", {"version": 2, "index": 0, "parts": message("hello")["parts"]}),
        ("message.redacted", {"version": 2, "index": 4}),
        ("state.patched", {"set": {"city": "Bari"}, "expected_keys": {"city": 1}}),
        ("session.metadata_updated", {"title": "Trip to Bari", "labels": {"team": "support"}}),
        ("artifact.added", artifact),
        ("history.compacted", {"from_version": 1, "to_version": 2, "parts": message("Bari.")["parts"]}),
        ("org.example.trip.booked", {"any": "thing"}),
    )
    log.add("accepted", "batch.appended", closed, expectedversion=2)
    log.add(
        "accepted",
        "batch.appended",
        batch(("run.started", RUN), ("run.completed", {"run": "run-1"}), ("run.started", RUN)),
    )


@history("batches-all-or-nothing")
def all_or_nothing(log: Recording) -> None:
    """One inner event that is refused refuses the batch, names the index, and nothing of it is applied. Its own
    messages may not be named; expected key versions are those before the batch, and a conflict there comes first."""
    log.created(state={"city": "Rome"}, participants=[{"participant": "bot", "principal": "bot", "kind": "agent"}])
    log.add(
        "unknown_reference",
        "batch.appended",
        batch(SAID, ("message.appended", {**message("re"), "reply_to": {"version": 2}})),
        detail=("events[1]", "version 2"),
        why="the version that the batch itself would make",
    )
    log.add(
        "unknown_reference",
        "batch.appended",
        batch(SAID, ("message.edited", {"version": 2, "parts": message("")["parts"]})),
    )
    log.add("unknown_reference", "batch.appended", batch(SAID, ("message.redacted", {"version": 2})))
    summary = {"from_version": 1, "to_version": 2, "parts": message("")["parts"]}
    log.add("unknown_reference", "batch.appended", batch(SAID, ("history.compacted", summary)))
    log.add("unknown_reference", "batch.appended", batch(("run.completed", {"run": "run-1"}), ("run.started", RUN)))
    log.add(
        "already_open",
        "batch.appended",
        batch(("run.started", RUN), ("run.started", RUN)),
        detail=("events[1]", "run-1"),
    )
    log.add("accepted", "run.started", RUN, why="none of them opened it")
    log.add(
        "unknown_reference",
        "batch.appended",
        batch(("run.canceled", {"run": "run-1"}), ("run.canceled", {"run": "run-1"})),
    )
    log.add("accepted", "run.completed", {"run": "run-1"}, why="nor closed it")
    set_twice = batch(
        ("state.patched", {"set": {"city": "Bari"}, "expected_keys": {"city": 1}}),
        ("state.patched", {"set": {"city": "Lecce"}, "expected_keys": {"city": 1, "hotel": 0}}),
    )
    log.add("accepted", "batch.appended", set_twice, why="both compare with the version before the batch")
    stale = batch(("run.completed", {"run": "run-1"}), ("state.patched", {"expected_keys": {"city": 1, "hotel": 9}}))
    log.add(
        "key_conflict", "batch.appended", stale, detail=("city", "hotel"), why="before the unknown run of its first"
    )
    log.add("version_conflict", "batch.appended", stale, expectedversion=1)
    large = batch(("state.patched", {"set": {"a": "@fill@"}}), ("state.patched", {"set": {"b": "@fill@"}}))
    fill = Fill("@fill@", "x", 20_000)
    log.add("limit_exceeded", "batch.appended", large, fill=fill, detail=("events[1]", "state_bytes"))
    freed = batch(
        ("state.patched", {"set": {"a": "@fill@"}}),
        ("state.patched", {"unset": ["a"]}),
        ("state.patched", {"set": {"b": "@fill@"}}),
    )
    log.add("accepted", "batch.appended", freed, fill=fill, why="each is judged on what those before it leave")
    log.add("forbidden", "batch.appended", batch(SAID), actor="eve")
    log.add("fenced", "batch.appended", batch(SAID), actor="bot")
    log.add("accepted", "session.suspended", {})
    log.add("dormant", "batch.appended", batch(SAID))


@history("batches-malformed")
def malformed(log: Recording) -> None:
    """What a batch may not hold makes the whole of it malformed: no event of a session's life, roster or leases, no
    batch, nothing wrong inside."""
    log.created()
    for name, data in (
        ("session.created", {"owner": "ada"}),
        ("session.suspended", {}),
        ("session.resumed", {}),
        ("session.closed", {}),
        ("session.reopened", {}),
        ("session.erased", {"reason": "x", "requested_by": "ada"}),
        ("session.rewound", {"to_version": 1}),
        ("participant.joined", {"participant": "bob", "principal": "bob", "kind": "human"}),
        ("participant.left", {"participant": "ada"}),
        ("participant.role_changed", {"participant": "ada", "role": "owner"}),
        ("lease.acquired", {"participant": "ada", "ttl_s": 30}),
        ("lease.released", {"participant": "ada", "epoch": 1}),
        ("lease.revoked", {"participant": "ada", "epoch": 1}),
        ("batch.appended", batch(SAID)),
        ("everlog.never.heard.v1", {}),
        ("NoType", {}),
        ("message.appended", {"role": "user"}),
    ):
        log.add("malformed", "batch.appended", batch(SAID, (name, data)), expectedversion=1)
    log.add("malformed", "batch.appended", {"events": []})
    log.add("malformed", "batch.appended", {})
    log.add("malformed", "batch.appended", {"events": [{"type": "org.example.thing", "data": {}, "id": "x"}]})
    log.add("malformed", "batch.appended", {"events": [{"type": "org.example.thing", "data": []}]})
    log.add("malformed", "batch.appended", {"events": [{"type": "org.example.thing"}]})
    own = ("batch.appended", batch(("org.example.thing", {"a": 1})))
    log.bent("malformed", '"a":1', '"a":1,"a":1', *own, why="the same key twice, deep inside")
    log.said("accepted")
