"""A session's life."""

from __future__ import annotations

from histories.recording import Recording, history, message

PLANNER = {"participant": "planner", "principal": "mad-7", "kind": "agent"}
BOB = {"participant": "bob", "principal": "bob@example.org", "kind": "human"}


@history("everlog.session.created.v1")
def created(log: Recording) -> None:
    """A creation brings owner, title, labels, state document and first participants; what comes before finds no
    session, what comes again is a duplicate by its id or by its content, and another creation meets one that exists."""
    log.said("not_found", why="no session yet: leaves no trace", id="hello")
    begun = {
        "owner": "ada",
        "owner_kind": "human",
        "title": "Trip to Rome",
        "labels": {"team": "support", "tier": "gold"},
        "state": {"city": "Rome", "budget": {"amount": 900, "currency": "EUR"}, "rate": 0.25},
        "participants": [PLANNER, {"participant": "eve", "principal": "eve", "kind": "human", "role": "viewer"}],
    }
    log.add("fenced", "session.created", begun, leaseepoch=1, expectedversion=1, why="nobody holds a lease yet")
    log.add("version_conflict", "session.created", begun, expectedversion=1, why="the version is 0")
    log.add("accepted", "session.created", begun, id="begin", expectedversion=0, correlationid="turn-1")
    log.add("duplicate", "session.created", begun, id="begin", expectedversion=0, retry=True, why="by its id")
    log.add("duplicate", "session.created", begun, id="begin-2", why="by its content: type, actor and data")
    log.add("exists", "session.created", begun, actor="bob", id="begin-3", why="by another actor it is another")
    log.add("exists", "session.created", {"owner": "ada"}, id="begin-4")
    log.add("duplicate", "session.created", {"owner": "ada"}, id="begin-4", retry=True, why="of that rejection")
    log.add("id_reused", "session.created", {"owner": "bob"}, id="begin-4")
    log.said("accepted", id="hello", why="was not found before, and is judged afresh")
    log.said("fenced", actor="planner", why="an agent, without a lease")
    log.said("forbidden", actor="eve", why="a viewer")


@history("everlog.session.metadata_updated.v1")
def metadata_updated(log: Recording) -> None:
    """Title and labels are merged (RFC 7396): null removes, absent keeps."""
    log.created(title="Trip", labels={"team": "support", "tier": "gold"})
    log.add("accepted", "session.metadata_updated", {"labels": {"tier": None, "city": "Rome"}}, why="title is kept")
    log.add("accepted", "session.metadata_updated", {"title": "Trip to Rome"}, why="labels are kept")
    log.add("accepted", "session.metadata_updated", {"labels": {"never": None}}, why="removing what is not there")
    log.add("accepted", "session.metadata_updated", {}, why="nothing: still a version")
    log.add("accepted", "session.metadata_updated", {"title": None})
    log.add("version_conflict", "session.metadata_updated", {"title": "late"}, expectedversion=2)


@history("everlog.session.suspended.v1")
def suspended(log: Recording) -> None:
    """A suspended session is dormant: every lease is free, what is open stays open, and only resuming, closing and
    erasing are accepted."""
    log.created(participants=[PLANNER])
    log.add("accepted", "lease.acquired", {"participant": "planner", "ttl_s": 30}, actor="planner")
    log.add("accepted", "run.started", {"run": "run-1", "agent": "planner"}, actor="planner", leaseepoch=2)
    log.add("accepted", "session.suspended", {"reason": "waits for the customer"})
    log.said("dormant", actor="system:clock")
    log.add("dormant", "session.suspended", {})
    log.add("dormant", "session.reopened", {})
    log.add("dormant", "lease.acquired", {"participant": "planner", "ttl_s": 30}, actor="planner")
    log.add("dormant", "participant.joined", BOB, actor="bob")
    log.add("accepted", "session.resumed", {})
    log.add("fenced", "run.completed", {"run": "run-1"}, actor="planner", leaseepoch=2, why="that lease is free")
    log.add("accepted", "run.completed", {"run": "run-1"}, why="the run stayed open")
    log.add("accepted", "session.suspended", {})


@history("everlog.session.resumed.v1")
def resumed(log: Recording) -> None:
    """Resuming wakes a dormant session, changes nothing in an active one, and does not open a closed one."""
    log.created()
    log.add("accepted", "session.resumed", {"reason": "just in case"})
    log.add("accepted", "session.suspended", {})
    log.add("forbidden", "session.resumed", {}, actor="eve")
    log.add("accepted", "session.resumed", {"reason": "the customer is back"})
    log.said("accepted")
    log.add("accepted", "session.closed", {})
    log.add("closed", "session.resumed", {})


@history("everlog.session.closed.v1")
def closed(log: Recording) -> None:
    """Closing frees leases and abandons what is open; only reopening and erasing follow. Also out of dormancy."""
    log.created(participants=[PLANNER])
    log.add("accepted", "lease.acquired", {"participant": "planner", "ttl_s": 30}, actor="planner")
    log.add("accepted", "run.started", {"run": "run-1", "agent": "planner"}, actor="planner", leaseepoch=2)
    log.add("accepted", "tool_call.requested", {"tool_call": "call-1", "name": "search"}, why="opened by another")
    log.add("accepted", "interrupt.raised", {"interrupt": "ask-1", "reason": "approval", "message": "Book it?"})
    log.add("accepted", "session.closed", {"outcome": "booked"})
    log.said("closed")
    log.add("closed", "session.closed", {})
    log.add("closed", "session.suspended", {})
    log.add("accepted", "session.reopened", {})
    log.add("fenced", "run.completed", {"run": "run-1"}, actor="planner", leaseepoch=2)
    log.add("unknown_reference", "run.completed", {"run": "run-1"}, detail=("run-1",))
    log.add("unknown_reference", "tool_call.failed", {"tool_call": "call-1", "error": {"type": "x", "message": ""}})
    log.add("unknown_reference", "interrupt.resolved", {"interrupt": "ask-1", "status": "cancelled"})
    log.add("accepted", "session.suspended", {})
    log.add("accepted", "session.closed", {}, why="out of dormancy")


@history("everlog.session.reopened.v1")
def reopened(log: Recording) -> None:
    """Reopening makes a closed session active, changes nothing in an active one, and does not wake a dormant one."""
    log.created()
    log.add("accepted", "session.reopened", {})
    log.add("accepted", "session.suspended", {})
    log.add("dormant", "session.reopened", {})
    log.add("accepted", "session.closed", {})
    log.add("forbidden", "session.reopened", {}, actor="eve")
    log.add("accepted", "session.reopened", {"reason": "one more question"})
    log.said("accepted")


@history("everlog.session.erased.v1")
def erased(log: Recording) -> None:
    """Erasing takes everything but identity, version and times; only role owner or the system may; whatever comes
    then is refused as erased, also what was a duplicate before."""
    log.created(title="Trip", labels={"team": "support"}, state={"city": "Rome"}, participants=[BOB, PLANNER])
    log.add("accepted", "lease.acquired", {"participant": "planner", "ttl_s": 30}, actor="planner")
    log.add("accepted", "run.started", {"run": "run-1", "agent": "planner"}, actor="planner", leaseepoch=2)
    log.add("accepted", "run.completed", {"run": "run-1", "usage": {"input_tokens": 9}}, id="done")
    log.add("accepted", "tool_call.requested", {"tool_call": "call-1", "name": "search"})
    log.said("accepted", id="hello")
    log.add("forbidden", "session.erased", {"reason": "mine", "requested_by": "bob"}, actor="bob", why="an editor")
    log.add("accepted", "session.erased", {"reason": "request of the user", "requested_by": "ada"}, id="erase")
    log.said("erased", id="hello", why="nothing is remembered")
    log.add("erased", "session.erased", {"reason": "request of the user", "requested_by": "ada"}, id="erase")
    log.add("erased", "session.created", {"owner": "ada"})
    log.add("erased", "session.reopened", {}, actor="eve")
    log.said("erased", retry=True, why="whatever its retry marks say")
    log.raw("malformed", "not an event", why="malformed comes before erased")


@history("erasure-from-any-status")
def erasure_from_any_status(log: Recording) -> None:
    """The system may erase, and a dormant session may be erased like an active one."""
    log.created(participants=[{**BOB, "role": "owner"}])
    log.add("accepted", "session.suspended", {})
    log.add("forbidden", "session.erased", {"reason": "why not", "requested_by": "eve"}, actor="eve")
    log.add("accepted", "session.erased", {"reason": "retention", "requested_by": "ada"}, actor="system:retention")


@history("erasure-of-a-closed-session")
def erasure_of_a_closed_session(log: Recording) -> None:
    """A closed session may be erased, by any participant of role owner."""
    log.created(participants=[{**BOB, "role": "owner"}])
    log.add("accepted", "session.closed", {})
    log.add("accepted", "session.erased", {"reason": "moved away", "requested_by": "bob"}, actor="bob")


@history("everlog.session.rewound.v1")
def rewound(log: Recording) -> None:
    """Title, labels, state and summary of an earlier version come back: carried keys get this version, others become
    absent; roster, leases, what is open, usage, counts and artifacts stay. It needs expectedversion."""
    log.created(title="Trip", labels={"team": "support"}, state={"city": "Rome"}, participants=[PLANNER])
    log.add("accepted", "history.compacted", {"from_version": 1, "to_version": 1, "parts": message("Rome.")["parts"]})
    log.add("accepted", "lease.acquired", {"participant": "planner", "ttl_s": 30}, actor="planner")
    log.add("accepted", "run.started", {"run": "run-1", "agent": "planner"}, actor="planner", leaseepoch=3)
    log.add("accepted", "tool_call.requested", {"tool_call": "call-1", "name": "search"}, actor="planner", leaseepoch=3)
    log.add("accepted", "run.completed", {"run": "run-1", "usage": {"input_tokens": 9, "output_tokens": 2}})
    log.said("accepted", "Bari, rather")
    log.add("accepted", "state.patched", {"set": {"city": "Bari", "hotel": "Sole"}})
    log.add("accepted", "session.metadata_updated", {"title": "Bari", "labels": {"team": None, "tier": "gold"}})
    back = {
        "to_version": 2,
        "title": "Trip",
        "labels": {"team": "support"},
        "state": {"city": "Rome"},
        "summary": {"from_version": 1, "to_version": 1, "parts": message("Rome.")["parts"]},
    }
    log.add("malformed", "session.rewound", back, why="without expectedversion")
    log.add("version_conflict", "session.rewound", back, expectedversion=8)
    log.add("unknown_reference", "session.rewound", {"to_version": 10}, expectedversion=9, detail=("version 10",))
    log.add("forbidden", "session.rewound", back, expectedversion=9, actor="eve")
    log.add("accepted", "session.rewound", back, expectedversion=9)
    log.add("key_conflict", "state.patched", {"expected_keys": {"city": 8, "hotel": 8}}, detail=("city", "hotel"))
    log.add("accepted", "state.patched", {"set": {"hotel": "Luna"}, "expected_keys": {"city": 10, "hotel": 0}})
    log.said("accepted", actor="planner", leaseepoch=3, why="its lease stayed")


@history("fork-and-rewind")
def fork_and_rewind(log: Recording) -> None:
    """A fork begins at version 1 with its parent's content, and with no roster, lease or open reference of it; its
    summary speaks of its parent's versions, which may be above its own; rewinding may go to its own version 1."""
    parent = {
        "from_version": 1,
        "to_version": 41,
        "parts": message("They chose Rome.")["parts"],
        "model": "summariser-2",
    }
    log.created(
        title="Trip",
        labels={"team": "support"},
        state={"city": "Rome"},
        forked_from={"session": "rome-41", "version": 57},
        summary=parent,
    )
    log.said("forbidden", actor="bob", why="a participant of the parent is none here")
    log.add("unknown_reference", "run.completed", {"run": "run-1"}, why="open in the parent only")
    log.add("accepted", "state.patched", {"set": {"city": "Bari"}, "expected_keys": {"city": 1}})
    back = {
        "to_version": 1,
        "title": "Trip",
        "labels": {"team": "support"},
        "state": {"city": "Rome"},
        "summary": parent,
    }
    log.add("accepted", "session.rewound", back, expectedversion=2)
    log.add("accepted", "session.rewound", {"to_version": 3}, expectedversion=3, why="carries nothing: nothing is left")
