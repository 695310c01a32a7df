"""What is broken when: all of it follows from the seed. Only the machine's clock is not in the seed's hands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

FIXED_SEEDS: Final = (1, 2, 3)
"""Together they break everything that can be broken."""
SHORT_WINDOW_S: Final = 13.0
LONG_WINDOW_S: Final = 25.0
"""For how long faults begin."""
WORKERS: Final = 2
"""Projector workers that always should run."""
SESSION_TIMEOUT_S: Final = 6.0
"""After which a silent worker loses its partitions: the shortest that a broker allows."""
GAP_S: Final = (0.4, 1.6)
"""From the beginning of one fault to the next; most last longer, so they overlap."""
FIRST_S: Final = 1.0
"""The first fault comes when there is something to lose."""


class Kind(StrEnum):
    """What is broken on purpose."""

    WORKER_KILLED = "a worker is killed"
    WORKER_FROZEN = "a worker hangs for longer than its session and comes back as a zombie"
    WORKER_LEAVES = "a worker leaves and comes back"
    WORKER_JOINS = "one more worker joins and leaves"
    REDIS_EMPTIED = "Redis is killed and comes back empty"
    REDIS_ROLLED_BACK = "Redis is killed and comes back with an older copy of its data"
    MONGO_KILLED = "MongoDB is killed and comes back"
    VIEWS_EMPTIED = "the view database is dropped"
    VIEWS_ROLLED_BACK = "the view database is put back to an earlier point in time"
    STALLED = "a server accepts and does not answer"
    SWALLOWED = "what is sent to a server and what it answers is lost"
    CUT = "connections break in the middle of a message"
    REFUSED = "connections are reset and refused"
    DELAYED = "the network is slow"


SERVERS: Final = ("kafka", "redis", "mongo")
_OF_WORKERS: Final = (Kind.WORKER_KILLED, Kind.WORKER_FROZEN, Kind.WORKER_LEAVES, Kind.WORKER_JOINS)
_OF_REDIS: Final = (Kind.REDIS_EMPTIED, Kind.REDIS_ROLLED_BACK)
_OF_MONGO: Final = (Kind.MONGO_KILLED, Kind.VIEWS_EMPTIED, Kind.VIEWS_ROLLED_BACK)
_OF_THE_NETWORK: Final = (Kind.STALLED, Kind.SWALLOWED, Kind.CUT, Kind.REFUSED, Kind.DELAYED)
_WEIGHTS: Final = {_OF_WORKERS: 3, _OF_REDIS: 2, _OF_MONGO: 3, _OF_THE_NETWORK: 4}
_LASTS_S: Final[dict[Kind, tuple[float, float]]] = {
    Kind.WORKER_KILLED: (0.0, 0.0),
    Kind.WORKER_FROZEN: (SESSION_TIMEOUT_S + 1.5, SESSION_TIMEOUT_S + 3.0),
    Kind.WORKER_LEAVES: (0.5, 4.0),
    Kind.WORKER_JOINS: (3.0, 6.0),
    Kind.REDIS_EMPTIED: (0.0, 2.0),
    Kind.REDIS_ROLLED_BACK: (1.5, 4.0),
    Kind.MONGO_KILLED: (0.0, 4.0),
    Kind.VIEWS_EMPTIED: (0.0, 0.0),
    Kind.VIEWS_ROLLED_BACK: (1.5, 4.0),
    Kind.STALLED: (0.5, 5.0),
    Kind.SWALLOWED: (0.5, 4.0),
    Kind.CUT: (0.5, 3.0),
    Kind.REFUSED: (0.2, 3.0),
    Kind.DELAYED: (1.0, 4.0),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when it begins, seconds from the start; what it breaks; how long it lasts.

    ``chance`` in [0, 1) decides what is left to decide, such as after how many bytes a connection is cut.
    """

    at_s: float
    kind: Kind
    target: str
    lasts_s: float
    chance: float

    def __str__(self) -> str:
        return f"{self.at_s:6.2f} s  {self.target:8}  {self.kind} ({self.lasts_s:.2f} s)"


def draw(seed: int, window_s: float) -> list[Fault]:
    """The faults of a run that begin within ``window_s``; two of one server or of one network never overlap."""
    chance = Random(f"faults of {seed}")
    faults: list[Fault] = []
    busy: dict[tuple[str, bool], float] = {}
    at_s = FIRST_S
    while at_s < window_s:
        kind = chance.choice(chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0])
        target = _target(kind, chance)
        lasts_s = chance.uniform(*_LASTS_S[kind])
        fault = Fault(round(at_s, 2), kind, target, round(lasts_s, 2), chance.random())
        place = target, kind in _OF_THE_NETWORK
        if busy.get(place, 0.0) <= at_s:
            busy[place] = at_s + lasts_s
            faults.append(fault)
            at_s += chance.uniform(*GAP_S)
    return faults


def calm_fault(seed: int) -> Kind:
    """What breaks in the end, when nobody writes any more."""
    kinds = (*_OF_REDIS, Kind.VIEWS_EMPTIED, Kind.VIEWS_ROLLED_BACK)
    return kinds[seed % len(kinds)]


def _target(kind: Kind, chance: Random) -> str:
    if kind in _OF_THE_NETWORK:
        return chance.choice(SERVERS)
    if kind in _OF_REDIS:
        return "redis"
    if kind in _OF_MONGO:
        return "mongo"
    return worker_name(WORKERS if kind is Kind.WORKER_JOINS else chance.randrange(WORKERS))


def worker_name(number: int) -> str:
    """The name of a worker, from 0 on."""
    return f"worker-{number}"
