"""A writer: hands its events over until each is answered, as an SDK does; what it wants to say is its script."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, NamedTuple, Protocol

from everlog.domain.encoding import encode
from everlog.domain.state import State
from everlog.domain.verdicts import Accepted, Duplicate, Rejected, Verdict
from everlog.schemas.events import Event
from everlog.schemas.identifiers import full_type, split_key
from simulation.clock import Clock
from simulation.network import Network
from simulation.projector import Projector

ATTEMPTS_MAX = 4
"""Hand-overs of one event; then the writer goes on without knowing."""
TIMEOUT_MS = 60.0
"""How long an answer is awaited: about as long as verdicts take, so that many come too late."""
THINKING_MS = 40.0
"""The longest pause between two events of a writer."""
ANSWERS_LOST = 0.1


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that a writer wants; ``durable`` asks for no verdict, only that the event is on the log."""

    type: str
    data: dict[str, Any]
    expected_version: int | None = None
    lease_epoch: int | None = None
    durable: bool = False

    def event(self, event_id: str, actor: str, key: str, retried_from: int | None) -> Event:
        """The event as a door writes it; a retry names the version that was known at the first hand-over."""
        tenant, session = split_key(key)
        return Event.model_construct(
            id=event_id,
            source="/simulation",
            type=full_type(self.type),
            subject=session,
            tenantid=tenant,
            time="2026-01-02T03:04:05.678Z",
            actor=actor,
            data=self.data,
            expectedversion=self.expected_version,
            leaseepoch=self.lease_epoch,
            retry=retried_from is not None,
            seenversion=retried_from,
            correlationid=event_id,
        )


class Stall(NamedTuple):
    """The writer's process hangs."""

    ms: float


class Answer(NamedTuple):
    """What a writer was told of a wish: the offset where it lies, and the first verdict on it if it asked for one."""

    key: str
    wish: str
    """Correlation id of all its hand-overs."""
    offset: int
    verdict: Accepted | Rejected | None


Script = Generator[Draft | Stall, Accepted | Rejected | None, None]
"""Yields what comes next, is sent the verdict; None where there is none."""


class Surroundings(Protocol):
    """What a script may look at and draw from: also where writers, log and projector are real."""

    @property
    def chance(self) -> Random:
        """What decides."""

    def state(self, key: str) -> State | None:
        """A session's state as it can be read now."""

    def version(self, key: str) -> int:
        """A session's version as it can be read now."""


@dataclass(frozen=True, slots=True)
class World:
    """What all writers share."""

    clock: Clock
    network: Network
    projector: Projector
    chance: Random
    answers: list[Answer]

    def state(self, key: str) -> State | None:
        """A session's state as it can be read now."""
        return self.projector.state(key)

    def version(self, key: str) -> int:
        """A session's version as it can be read now."""
        state = self.projector.state(key)
        return state.version if state is not None else 0


class Writer:
    """Runs a script as an actor of one session."""

    def __init__(self, world: World, name: str, actor: str, key: str, script: Script) -> None:
        self._world, self._name, self._actor, self._key, self._script = world, name, actor, key, script
        self._count = 0
        self.is_done = False
        world.clock.after(world.chance.uniform(0, THINKING_MS), partial(self._go_on, None))

    def _go_on(self, verdict: Accepted | Rejected | None) -> None:
        try:
            step = self._script.send(verdict)
        except StopIteration:
            self.is_done = True
            return
        if isinstance(step, Stall):
            self._world.clock.after(step.ms, partial(self._go_on, None))
            return
        self._count += 1
        _Handover(self._world, f"{self._name}-{self._count}", self._actor, self._key, step, self._answered).attempt()

    def _answered(self, verdict: Accepted | Rejected | None) -> None:
        self._world.clock.after(self._world.chance.uniform(0, THINKING_MS), partial(self._go_on, verdict))


class _Handover:
    """One event on its way: handed over until it is answered or given up."""

    def __init__(
        self,
        world: World,
        event_id: str,
        actor: str,
        key: str,
        draft: Draft,
        answered: Callable[[Accepted | Rejected | None], None],
    ) -> None:
        self._world, self._id, self._actor, self._key, self._draft = world, event_id, actor, key, draft
        self._report = answered
        self._attempts, self._is_over = 0, False
        self._seen_version = world.version(key)

    def attempt(self) -> None:
        """Hand the event over; again when no answer comes in time."""
        if self._is_over:
            return
        if self._attempts == ATTEMPTS_MAX:
            self._end(None)
            return
        self._attempts += 1
        self._world.network.send(self._key, value_of(self, self._attempts > 1), self._appended)
        self._world.clock.after(TIMEOUT_MS, self.attempt)

    def event(self, is_retry: bool) -> Event:
        """The event as the door writes it; from the second hand-over on it is stamped."""
        return self._draft.event(self._id, self._actor, self._key, self._seen_version if is_retry else None)

    def _appended(self, offset: int) -> None:
        if self._world.chance.random() < ANSWERS_LOST:
            return
        if self._draft.durable:
            self._answer(offset, None)
        else:
            self._world.projector.when_published(offset, partial(self._judged, offset))

    def _judged(self, offset: int, verdict: Verdict) -> None:
        self._answer(offset, verdict.first if isinstance(verdict, Duplicate) else verdict)

    def _answer(self, offset: int, verdict: Accepted | Rejected | None) -> None:
        self._world.answers.append(Answer(self._key, self._id, offset, verdict))
        self._end(verdict)

    def _end(self, verdict: Accepted | Rejected | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._report(verdict)


def value_of(handover: _Handover, is_retry: bool) -> bytes:
    """The record's value for a hand-over."""
    return encode(handover.event(is_retry))
