"""What writers do: people who talk, patch and insist on a version; agents under leases, with zombies; operators."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from everlog.domain.standing import Standing
from everlog.domain.verdicts import Accepted, Reason, Rejected
from simulation.writer import Draft, Script, Stall, Surroundings

OWNER = "owner"
COUNTERS = ("city", "day", "mood")
"""Keys that all patchers count up."""
NAP_MS = 15.0
LONG_STALL_MS = 250.0
"""Longer than a successor waits before it takes the lease."""
ROUNDS_MAX = 2
"""How often a writer tries after a conflict."""
PATIENCE = 8
"""How often a guest looks whether it can come in; then it talks all the same."""

Verdict = Accepted | Rejected | None


def creation(title: str, agents: int, guests: Sequence[str]) -> Script:
    """Create the session, sometimes while somebody else does; agents and guests are members from the start."""
    members = [member(f"agent-{number}", "agent") for number in range(agents)]
    members += [member(name, "human") for name in guests]
    yield Draft("session.created", {"owner": OWNER, "title": title, "participants": members})
    yield said("I made this")


def talker(world: Surroundings, key: str, name: str) -> Script:
    """Talk, perhaps leave."""
    yield from entered(world, key, name)
    for number in range(world.chance.choice((0, 1, 1, 2))):
        yield said(f"{name} says {number}", durable=world.chance.random() < 0.3)
    if world.chance.random() < 0.2:
        yield Draft("participant.left", {"participant": name})
        yield said("one more thing")


def patcher(world: Surroundings, key: str, name: str) -> Script:
    """Count a key of the state document up, from the value that can be read."""
    yield from entered(world, key, name)
    for _ in range(ROUNDS_MAX):
        state, field = world.state(key), world.chance.choice(COUNTERS)
        count = state.view.state.get(field, 0) if state is not None else 0
        version = state.standing.key_version(field) if state is not None else 0
        verdict = yield patch({field: count + 1}, {field: version})
        if isinstance(verdict, Accepted):
            return


def careful(world: Surroundings, key: str, name: str) -> Script:
    """Say something only while nothing else has happened."""
    yield from entered(world, key, name)
    for _ in range(ROUNDS_MAX):
        verdict = yield said("as you were", expected_version=world.version(key))
        if isinstance(verdict, Accepted):
            return


def batcher(world: Surroundings, key: str, name: str) -> Script:
    """Say and patch in one; half of the time on a condition."""
    yield from entered(world, key, name)
    field, standing = "last", standing_of(world, key)
    version = standing.key_version(field) if standing is not None else 0
    condition = {field: version} if world.chance.random() < 0.5 else {}
    run = f"{name}-run"
    yield Draft(
        "batch.appended",
        {
            "events": [
                inner("run.started", {"run": run, "agent": name}),
                inner("message.appended", {**said("all at once").data, "run": run}),
                inner("state.patched", patch({field: name}, condition).data),
                inner("run.completed", {"run": run, "usage": {"input_tokens": 3}}),
            ]
        },
    )


def agent(world: Surroundings, key: str, name: str) -> Script:
    """Take the lease, work under it, sometimes hang as a zombie, give it back or not."""
    epoch = yield from acquired(world, key, name)
    if epoch is None:
        return
    run, is_zombie = f"{name}-{epoch}", world.chance.random() < 0.6
    yield Draft("run.started", {"run": run, "agent": name}, lease_epoch=epoch)
    yield said("working", run=run, lease_epoch=epoch)
    if is_zombie:
        yield Stall(world.chance.uniform(0, LONG_STALL_MS))
    yield Draft("tool_call.requested", {"tool_call": run, "name": "search", "run": run}, lease_epoch=epoch)
    yield said("still here", lease_epoch=epoch)
    if not is_zombie:
        yield Draft("lease.released", {"participant": name, "epoch": epoch}, lease_epoch=epoch)
        yield said("without a lease")


def acquired(world: Surroundings, key: str, name: str) -> Generator[Draft | Stall, Verdict, int | None]:
    """Take the lease over whatever holder can be read: the epoch, or None when others were faster."""
    for _ in range(ROUNDS_MAX):
        standing = standing_of(world, key)
        if standing is not None:
            supersedes = standing.lease_epoch(name)
            verdict = yield Draft("lease.acquired", {"participant": name, "ttl_s": 30, "supersedes": supersedes})
            if isinstance(verdict, Accepted):
                return verdict.version
        yield Stall(world.chance.uniform(0, NAP_MS))
    return None


def reaper(world: Surroundings, key: str) -> Script:
    """Take leases away from who holds them, dead or not."""
    for _ in range(ROUNDS_MAX):
        yield Stall(world.chance.uniform(0, LONG_STALL_MS))
        standing = standing_of(world, key)
        held = {name: entry.lease_epoch for name, entry in standing.roster.items()} if standing is not None else {}
        for name, epoch in sorted(held.items()):
            if epoch:
                yield Draft("lease.revoked", {"participant": name, "epoch": epoch})
                break


def governor(world: Surroundings, name: str) -> Script:
    """Stop the session in one way or another, and let it go on."""
    yield Stall(world.chance.uniform(0, LONG_STALL_MS))
    if world.chance.random() < 0.1:
        yield Draft("session.erased", {"reason": "asked for", "requested_by": name})
        return
    stop, go_on = world.chance.choice([("suspended", "resumed"), ("closed", "reopened")])
    yield Draft(f"session.{stop}", {})
    yield Stall(NAP_MS)
    verdict: Verdict = None
    for _ in range(ROUNDS_MAX):
        verdict = yield Draft(f"session.{go_on}", {})
        if isinstance(verdict, Accepted) or (isinstance(verdict, Rejected) and verdict.reason is Reason.ERASED):
            return


def standing_of(world: Surroundings, key: str) -> Standing | None:
    """The standing that can be read now."""
    state = world.state(key)
    return state.standing if state is not None else None


def entered(world: Surroundings, key: str, name: str) -> Generator[Draft | Stall, Verdict, None]:
    """Wait for the session, and join where that is needed; again while it sleeps."""
    for _ in range(PATIENCE):
        standing = standing_of(world, key)
        if standing is not None:
            if standing.is_present(name):
                return
            verdict = yield Draft("participant.joined", member(name, "human"))
            if isinstance(verdict, Accepted):
                return
        yield Stall(world.chance.uniform(0, 2 * NAP_MS))


def member(name: str, kind: str) -> dict[str, Any]:
    """A participant, as in a creation or when it joins."""
    return {"participant": name, "principal": name, "kind": kind}


def said(
    text: str,
    *,
    run: str | None = None,
    expected_version: int | None = None,
    lease_epoch: int | None = None,
    durable: bool = False,
) -> Draft:
    """A message."""
    data: dict[str, Any] = {"role": "user", "parts": [{"type": "text", "text": text}]}
    return Draft(
        "message.appended", data | ({"run": run} if run is not None else {}), expected_version, lease_epoch, durable
    )


def patch(values: dict[str, Any], expected_keys: dict[str, int]) -> Draft:
    """A patch of the state document."""
    return Draft("state.patched", {"set": values} | ({"expected_keys": expected_keys} if expected_keys else {}))


def inner(type_name: str, data: dict[str, Any]) -> dict[str, Any]:
    """An event of a batch."""
    return {"type": f"everlog.{type_name}.v1", "data": data}
