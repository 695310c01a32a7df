"""Duplicates, retries, and the order of the checks."""

from __future__ import annotations

from everlog.schemas.limits import RING_ACCEPTED, RING_REJECTED, SAFE_INTEGER
from histories.recorded import Fill
from histories.recording import Recording, history, message

BOB = {"participant": "bob", "principal": "bob", "kind": "human"}
TTL = {"participant": "ada", "ttl_s": 30}


@history("duplicates-and-retries")
def duplicates(log: Recording) -> None:
    """An id that was judged before gets its first outcome, whatever became of the session meanwhile and whatever its
    envelope says now; with other content it is id_reused. Neither takes a slot of the ring: 64 later rejections forget
    a rejected id, which may then be judged again."""
    log.created()
    log.said("accepted", id="first")
    log.said("duplicate", id="first")
    log.said("duplicate", id="first", retry=True, seenversion=1, time="2027-01-01T00:00:00Z", source="/spool")
    log.said(
        "duplicate", id="first", expectedversion=99, leaseepoch=7, correlationid="x", why="the envelope does not count"
    )
    log.said("id_reused", "ho", id="first")
    log.said("id_reused", id="first", actor="system:clock")
    log.add("id_reused", "org.example.thing", message("hi"), id="first", why="another type")
    log.said("version_conflict", id="stale", expectedversion=4)
    log.said("duplicate", id="stale", expectedversion=4)
    log.said("id_reused", "ho", id="stale", expectedversion=4)
    log.add("accepted", "session.suspended", {})
    log.said("duplicate", id="first", why="comes before dormant")
    log.add("accepted", "session.resumed", {})
    log.said("duplicate", id="stale", expectedversion=4, why="although it is version 4 now")
    log.said("forbidden", actor="eve", repeat=RING_REJECTED - 1, bound="RING_REJECTED")
    log.said("duplicate", id="stale", expectedversion=4, bound="RING_REJECTED", why="the oldest of 64 rejections")
    log.said("forbidden", actor="eve")
    log.said("accepted", id="stale", expectedversion=4, bound="RING_REJECTED", why="forgotten; it was never applied")


@history("retries-beyond-the-ring")
def beyond_the_ring(log: Recording) -> None:
    """The last 256 accepted ids are remembered. A retry that may have left the ring is refused as expired, for ever
    again; one that cannot have is judged. What is not marked as a retry is taken as new. A creation needs no ring."""
    log.created()
    log.said("accepted", id="first")
    log.said("accepted", repeat=RING_ACCEPTED - 1, bound="RING_ACCEPTED")
    log.said(
        "duplicate", id="first", retry=True, bound="RING_ACCEPTED", why="the oldest of 256; it is not asked how old"
    )
    log.said("accepted", why="forgets it")
    log.said("retry_expired", id="first", retry=True, seenversion=1, bound="RING_ACCEPTED", why="258 - 1 > 256")
    log.said("retry_expired", id="first", retry=True, seenversion=1, why="takes no slot: not a duplicate of it")
    log.said("retry_expired", retry=True, why="without seenversion it is 0")
    log.said("accepted", retry=True, seenversion=2, bound="RING_ACCEPTED", why="258 - 2 = 256")
    log.said("accepted", retry=True, seenversion=SAFE_INTEGER, why="seen in the future")
    log.said("accepted", seenversion=0, why="no retry")
    log.said("accepted", id="first", why="not marked as a retry: a new event")
    log.add("duplicate", "session.created", {"owner": "ada"}, retry=True, seenversion=0, why="known by its content")
    log.add("exists", "session.created", {"owner": "bob"}, retry=True, seenversion=0)
    log.add("accepted", "session.closed", {})
    log.said("retry_expired", actor="eve", retry=True, seenversion=1, why="comes before closed and forbidden")
    log.said("closed", actor="eve", retry=True, seenversion=262)


@history("order-of-the-checks")
def order(log: Recording) -> None:
    """Each of these events fails two checks or more: the verdict is that of the first in the order of rules 1."""
    log.created(state={"city": "Rome"}, participants=[BOB])
    log.add("accepted", "run.started", {"run": "run-1", "agent": "x"}, id="run")
    log.add("id_reused", "run.started", {"run": "run-1", "agent": "y"}, id="run", actor="eve", expectedversion=9)
    log.said("forbidden", actor="eve", leaseepoch=9, expectedversion=9, why="before fenced")
    log.add("forbidden", "lease.released", {"participant": "bob", "epoch": 9}, leaseepoch=9)
    log.said("fenced", leaseepoch=9, expectedversion=9, why="before version_conflict")
    log.add("accepted", "lease.acquired", TTL)
    log.add("held", "lease.acquired", TTL, expectedversion=9, why="before version_conflict")
    log.add("version_conflict", "state.patched", {"expected_keys": {"city": 9}}, expectedversion=9, leaseepoch=3)
    wrong = {"set": {"city": "@fill@"}, "expected_keys": {"city": 9}}
    log.add("key_conflict", "state.patched", wrong, leaseepoch=3, fill=Fill("@fill@", "x", 40_000), why="and too large")
    log.add("version_conflict", "run.completed", {"run": "run-9"}, expectedversion=9, leaseepoch=3)
    log.add("unknown_reference", "run.started", {"run": "run-1", "agent": "x", "parent_run": "run-9"}, leaseepoch=3)
    log.add("unknown_reference", "participant.role_changed", {"participant": "cy", "role": "viewer"}, leaseepoch=3)
    log.add("accepted", "session.closed", {}, leaseepoch=3)
    log.said("closed", actor="eve", leaseepoch=9, expectedversion=9, why="before forbidden")
    log.add("exists", "session.created", {"owner": "eve"}, actor="eve", why="before closed")
    log.add("id_reused", "session.created", {"owner": "eve"}, id="run", why="before exists")
    log.add("accepted", "session.erased", {"reason": "x", "requested_by": "ada"})
    log.add("erased", "run.started", {"run": "run-1", "agent": "x"}, id="run", why="before duplicate")
