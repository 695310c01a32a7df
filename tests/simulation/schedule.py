"""One schedule: fifty writers, a network, a projector, and chance; all of it follows from one number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from unittest.mock import patch

from everlog.domain.verdicts import Reason, unpack
from simulation import scripts
from simulation.audit import audit
from simulation.clock import Clock
from simulation.network import Network, SimulatedLog
from simulation.projector import Projector
from simulation.writer import Answer, Script, World, Writer

WRITERS = 50
SESSIONS_MAX = 3
AGENTS_MAX = 3
CREATORS = 2
GUESTS = {scripts.talker: 4, scripts.patcher: 2, scripts.careful: 1, scripts.batcher: 2}
"""What guests do, and how often."""
SMALL_RING = 24
"""Accepted events that the ring keeps in every second schedule, so that retries do expire."""
WHOLE_RING = 256
REACH = {SMALL_RING: 8, WHOLE_RING: 40}
"""How many records later the network lets a copy land, for each size of the ring: well within it."""
PROJECTOR_PAUSE_MS = 25.0
"""The longest pause between two batches."""


def run_schedule(seed: int) -> Counter[str]:
    """Run a schedule to its end and audit it; returns how often each verdict was said. Raises ``Violation``."""
    chance = Random(seed)
    ring = chance.choice([SMALL_RING, WHOLE_RING])
    clock, answers = Clock(), list[Answer]()
    log = SimulatedLog(clock)
    projector, network = Projector(log, chance), Network(clock, log, chance, REACH[ring])
    world = World(clock, network, projector, chance, answers)
    with ring_of(ring):
        writers = list(_writers(world))

        def work() -> None:
            projector.work()
            if projector.is_behind or network.release_all() or not all(writer.is_done for writer in writers):
                clock.after(chance.uniform(1, PROJECTOR_PAUSE_MS), work)

        clock.after(PROJECTOR_PAUSE_MS, work)
        clock.run()
        audit(log, projector, answers)
    return Counter(_name(outcome) for outcome in projector.outcomes.values())


@contextmanager
def ring_of(accepted: int) -> Iterator[None]:
    """Fold under a law whose ring keeps so many accepted events, and a retry of an older one expires."""
    with (
        patch("everlog.domain.ring.RING_ACCEPTED", accepted),
        patch("everlog.domain.decide.RING_ACCEPTED", accepted),
    ):
        yield


def _writers(world: World) -> Iterator[Writer]:
    """Fifty, spread over the sessions: most of them people, the rest agents with successors, and those who govern."""
    sessions, agents = world.chance.randint(1, SESSIONS_MAX), world.chance.randint(1, AGENTS_MAX)
    for number in range(WRITERS):
        key = f"acme/room-{number % sessions}"
        guests = [f"guest-{other}" for other in range(0, WRITERS // sessions, 2)]
        role, actor, script = _role(world, key, number // sessions, agents, guests)
        yield Writer(world, f"{number}-{role}", actor, key, script)


def _role(world: World, key: str, number: int, agents: int, guests: Sequence[str]) -> tuple[str, str, Script]:
    """Role, actor and script of a session's n-th writer; two create it at once, in half of the cases the same."""
    chance = world.chance
    if number < CREATORS:
        title = "One" if number == 0 or chance.random() < 0.5 else "Another"
        return "creator", scripts.OWNER, scripts.creation(title, agents, guests)
    if number == CREATORS:
        return "reaper", "system:reaper", scripts.reaper(world, key)
    if number == CREATORS + 1 and chance.random() < 0.5:
        return "governor", scripts.OWNER, scripts.governor(world, scripts.OWNER)
    if number % 5 == 0:
        name = f"agent-{chance.randrange(agents)}"
        return "agent", name, scripts.agent(world, key, name)
    name = f"guest-{number}"
    return "guest", name, chance.choices(list(GUESTS), list(GUESTS.values()))[0](world, key, name)


def _name(outcome: int) -> str:
    verdict = unpack(outcome)
    reason = getattr(verdict, "reason", None)
    return reason.text if isinstance(reason, Reason) else type(verdict).__name__.lower()
