"""Who is in a session, and under which lease."""

from __future__ import annotations

from histories.recording import Recording, history

PLANNER = {"participant": "planner", "principal": "mad-7", "kind": "agent"}
BOB = {"participant": "bob", "principal": "bob@example.org", "kind": "human"}
EVE = {"participant": "eve", "principal": "eve", "kind": "human", "role": "viewer"}
TTL = {"participant": "planner", "ttl_s": 30}


@history("everlog.participant.joined.v1")
def joined(log: Recording) -> None:
    """Joining is authorised by the door: anybody may join, and let others join; an agent joins itself before it has a
    lease. Who is present is already there."""
    log.created()
    log.said("forbidden", actor="bob")
    log.add("accepted", "participant.joined", BOB, actor="bob")
    log.said("accepted", actor="bob")
    log.add("already_open", "participant.joined", {**BOB, "role": "viewer"}, actor="bob", detail=("bob",))
    log.add(
        "already_open", "participant.joined", {**BOB, "participant": "ada"}, why="the owner is present", detail=("ada",)
    )
    log.add("accepted", "participant.joined", PLANNER, actor="planner", leaseepoch=1, why="no lease is asked for")
    log.add("fenced", "participant.joined", EVE, actor="planner", why="for another it is")
    log.add("accepted", "participant.joined", EVE, actor="stranger", why="the door allowed it")
    log.add(
        "accepted",
        "participant.joined",
        {**BOB, "participant": "tool", "kind": "service", "role": "analyst"},
        actor="eve",
    )
    log.add("malformed", "participant.joined", {**BOB, "participant": "system:clock"})
    log.add("accepted", "participant.left", {"participant": "bob"}, actor="bob")
    log.add("accepted", "participant.joined", {**BOB, "role": "viewer"}, actor="bob", why="again, in another role")
    log.said("forbidden", actor="bob")


@history("everlog.participant.left.v1")
def left(log: Recording) -> None:
    """Leaving frees the lease and abandons what the participant opened. Anyone present may leave, also a viewer; only
    role owner and the system make others leave. The owner's entry stays, absent."""
    log.created(participants=[PLANNER, BOB, EVE, {**BOB, "participant": "cy", "role": "owner"}])
    log.add("accepted", "lease.acquired", TTL, actor="planner")
    log.add("accepted", "run.started", {"run": "run-1", "agent": "planner"}, actor="planner", leaseepoch=2)
    log.add("accepted", "run.started", {"run": "run-2", "agent": "planner"}, actor="bob")
    log.add("forbidden", "participant.left", {"participant": "eve"}, actor="bob", why="an editor, another")
    log.add("forbidden", "participant.left", {"participant": "stranger"}, actor="stranger", why="is not present")
    log.add("accepted", "participant.left", {"participant": "eve"}, actor="eve", why="a viewer, itself")
    log.add("fenced", "participant.left", {"participant": "planner"}, actor="planner", why="without its epoch")
    log.add("accepted", "participant.left", {"participant": "planner", "reason": "done"}, actor="planner", leaseepoch=2)
    log.add("unknown_reference", "run.completed", {"run": "run-1"}, why="its opener left")
    log.add("accepted", "run.completed", {"run": "run-2"}, why="opened by bob")
    log.add("unknown_reference", "participant.left", {"participant": "planner"}, detail=("planner",))
    log.add("accepted", "participant.left", {"participant": "bob"}, actor="cy")
    log.add("accepted", "participant.left", {"participant": "ada"})
    log.add("unknown_reference", "participant.left", {"participant": "ada"}, why="absent, and still the owner")
    log.add("unknown_reference", "lease.acquired", {**TTL, "participant": "ada"}, why="nor is there a lease for it")
    log.said("accepted", why="the owner may write, present or not")
    log.add("accepted", "participant.left", {"participant": "cy"}, actor="system:roster")
    log.add(
        "accepted", "participant.joined", {**EVE, "participant": "ada"}, why="its entry is present again, as it was"
    )


@history("everlog.participant.role_changed.v1")
def role_changed(log: Recording) -> None:
    """Role owner and the system change roles. The owner of the session stays its owner in any role."""
    log.created(participants=[BOB, EVE])
    log.add("forbidden", "participant.role_changed", {"participant": "eve", "role": "editor"}, actor="bob")
    log.add("accepted", "participant.role_changed", {"participant": "eve", "role": "owner"})
    log.add("accepted", "participant.role_changed", {"participant": "bob", "role": "viewer"}, actor="eve")
    log.said("forbidden", actor="bob")
    log.add("accepted", "participant.role_changed", {"participant": "bob", "role": "analyst"}, actor="system:roster")
    log.said("forbidden", actor="bob")
    log.add("unknown_reference", "participant.role_changed", {"participant": "cy", "role": "viewer"}, detail=("cy",))
    log.add("accepted", "participant.role_changed", {"participant": "ada", "role": "viewer"}, actor="eve")
    log.said("accepted", why="the owner")
    log.add("accepted", "participant.role_changed", {"participant": "eve", "role": "editor"}, why="the owner")


@history("everlog.lease.acquired.v1")
def acquired(log: Recording) -> None:
    """A lease's epoch is the version that acquired it. While it is held, only who names that epoch as seen dead gets
    the next one, and fences every writer before; a free lease is never held."""
    log.created(participants=[PLANNER, BOB, EVE])
    log.said("fenced", actor="planner", why="an agent without a lease")
    log.add("forbidden", "lease.acquired", TTL, actor="bob", why="of another")
    log.add("forbidden", "lease.acquired", TTL, actor="system:leases")
    log.add("forbidden", "lease.acquired", {**TTL, "participant": "eve"}, actor="eve", why="a viewer")
    log.add(
        "accepted", "lease.acquired", {**TTL, "supersedes": 99}, actor="planner", why="free, whatever it supersedes"
    )
    log.said("accepted", actor="planner", leaseepoch=2)
    log.said("fenced", actor="planner")
    log.said("fenced", actor="planner", leaseepoch=3)
    log.add("held", "lease.acquired", TTL, actor="planner")
    log.add("held", "lease.acquired", {**TTL, "supersedes": 3}, actor="planner", leaseepoch=2)
    log.add("accepted", "lease.acquired", {**TTL, "supersedes": 2}, actor="planner")
    log.said("fenced", actor="planner", leaseepoch=2, why="the zombie")
    log.said("accepted", actor="planner", leaseepoch=4)
    log.add("accepted", "lease.acquired", {**TTL, "participant": "bob"}, actor="bob", why="no agent, and may have one")
    log.said("fenced", actor="bob", why="has to name it then")
    log.add("accepted", "lease.acquired", {**TTL, "participant": "ada"})
    log.said("fenced", why="also the owner")
    log.said("accepted", leaseepoch=7)


@history("everlog.lease.released.v1")
def released(log: Recording) -> None:
    """A lease is given back by its holder, under its epoch; what is open stays open."""
    log.created(participants=[PLANNER, BOB])
    log.add("accepted", "lease.acquired", TTL, actor="planner")
    log.add("accepted", "run.started", {"run": "run-1", "agent": "planner"}, actor="planner", leaseepoch=2)
    log.add("forbidden", "lease.released", {"participant": "planner", "epoch": 2}, actor="bob")
    log.add("forbidden", "lease.released", {"participant": "planner", "epoch": 2}, why="the owner revokes instead")
    log.add("forbidden", "lease.released", {"participant": "planner", "epoch": 2}, actor="system:leases")
    log.add("fenced", "lease.released", {"participant": "planner", "epoch": 2}, actor="planner")
    log.add("fenced", "lease.released", {"participant": "planner", "epoch": 1}, actor="planner", leaseepoch=2)
    log.add("accepted", "lease.released", {"participant": "planner", "epoch": 2}, actor="planner", leaseepoch=2)
    log.add("fenced", "lease.released", {"participant": "planner", "epoch": 2}, actor="planner", leaseepoch=2)
    log.add("fenced", "lease.released", {"participant": "bob", "epoch": 1}, actor="bob", why="never had one")
    log.add("accepted", "lease.acquired", TTL, actor="planner")
    log.add("accepted", "run.completed", {"run": "run-1"}, actor="planner", leaseepoch=5)


@history("everlog.lease.revoked.v1")
def revoked(log: Recording) -> None:
    """A lease is taken away under its epoch, and what its holder left open is abandoned; what others opened stays."""
    log.created(participants=[PLANNER, BOB])
    log.add("accepted", "lease.acquired", TTL, actor="planner")
    log.add("accepted", "run.started", {"run": "run-1", "agent": "planner"}, actor="planner", leaseepoch=2)
    log.add("accepted", "tool_call.requested", {"tool_call": "call-1", "name": "search"}, actor="planner", leaseepoch=2)
    asked = {"interrupt": "ask-1", "reason": "approval", "message": "Book it?"}
    log.add("accepted", "interrupt.raised", asked, actor="planner", leaseepoch=2)
    log.add("accepted", "run.started", {"run": "run-2", "agent": "planner"}, actor="bob")
    log.add("forbidden", "lease.revoked", {"participant": "planner", "epoch": 2}, actor="eve")
    log.add("fenced", "lease.revoked", {"participant": "planner", "epoch": 1}, actor="system:leases")
    log.add("fenced", "lease.revoked", {"participant": "nobody", "epoch": 2}, why="comes before unknown_reference")
    revoked = {"participant": "planner", "epoch": 2, "reason": "no heartbeat"}
    log.add("accepted", "lease.revoked", revoked, actor="system:leases")
    log.add("fenced", "lease.revoked", {"participant": "planner", "epoch": 2}, why="it is free now")
    log.add("fenced", "run.completed", {"run": "run-1"}, actor="planner", leaseepoch=2)
    log.add("unknown_reference", "run.completed", {"run": "run-1"}, actor="bob", detail=("run-1",))
    log.add(
        "unknown_reference", "tool_call.completed", {"tool_call": "call-1", "parts": [{"type": "text", "text": ""}]}
    )
    log.add("unknown_reference", "interrupt.resolved", {"interrupt": "ask-1", "status": "cancelled"})
    log.add("accepted", "run.completed", {"run": "run-2"}, actor="bob")
    log.add("accepted", "lease.acquired", {**TTL, "participant": "bob"}, actor="bob")
    log.add(
        "accepted", "lease.revoked", {"participant": "bob", "epoch": 9}, actor="bob", leaseepoch=9, why="an editor may"
    )


@history("leases-and-zombies")
def leases_and_zombies(log: Recording) -> None:
    """A MAD dies in the middle of a run, its successor takes over, and the zombie comes back: none of its late writes
    lands, whether with its old epoch or with none; what it had open belongs to the participant and goes on."""
    log.created()
    log.add("accepted", "participant.joined", PLANNER, actor="planner")
    log.add("accepted", "lease.acquired", TTL, actor="planner", source="/mads/first")
    log.add("accepted", "run.started", {"run": "run-1", "agent": "planner"}, actor="planner", leaseepoch=3)
    log.add("held", "lease.acquired", TTL, actor="planner", source="/mads/second", why="not known to be dead")
    log.add("accepted", "lease.acquired", {**TTL, "supersedes": 3}, actor="planner", source="/mads/second")
    log.add("held", "lease.acquired", {**TTL, "supersedes": 3}, actor="planner", source="/mads/third", why="too late")
    log.said("fenced", "late", actor="planner", leaseepoch=3, source="/mads/first")
    log.said("fenced", "late", actor="planner", source="/mads/first")
    log.add("fenced", "run.completed", {"run": "run-1"}, actor="planner", leaseepoch=3, source="/mads/first")
    log.add("fenced", "lease.released", {"participant": "planner", "epoch": 3}, actor="planner", leaseepoch=3)
    log.add("fenced", "participant.left", {"participant": "planner"}, actor="planner", leaseepoch=3)
    log.add("accepted", "run.completed", {"run": "run-1"}, actor="planner", leaseepoch=5, source="/mads/second")
    log.add("accepted", "participant.left", {"participant": "planner"}, actor="planner", leaseepoch=5)
    log.said("forbidden", actor="planner", leaseepoch=5)


@history("owner-that-is-an-agent")
def owner_that_is_an_agent(log: Recording) -> None:
    """The owner needs no lease unless it holds one, also where it is an agent; its kind stays when it leaves."""
    log.created(owner_kind="agent")
    log.said("accepted")
    log.add("accepted", "lease.acquired", {**TTL, "participant": "ada"})
    log.said("fenced")
    log.add("accepted", "participant.left", {"participant": "ada"}, leaseepoch=3)
    log.said("accepted", why="its lease is free")
    log.said("fenced", leaseepoch=3)
    log.add("accepted", "participant.joined", {"participant": "ada", "principal": "x", "kind": "human"})
