"""A synthetic mixture of all types of rules 1: sessions in which agents and people work, from a seed.

Every event of it is accepted; how often each type comes is a guess at what agents do, since there is no public log.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final

from benchmarks.conversations import interleaved, numbered
from everlog.domain.encoding import encode
from everlog.domain.record import Record
from everlog.schemas.catalogue import TYPE_NAMES
from everlog.schemas.events import Event
from everlog.schemas.identifiers import full_type, session_key

SEED: Final = 20_260_102
SESSIONS: Final = 400
TURNS: Final = (4, 16)
"""Fewest and most turns of a session; a turn is some ten events."""
TENANT: Final = "mixture"
OWNER: Final = "ada"
AGENT: Final = "planner"
SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
WORDS: Final = ("the", "hotel", "in", "Rome", "near", "station", "has", "two", "rooms", "from", "Friday", "on", "for")

Step = tuple[str, dict[str, Any]]


def records() -> list[Record]:
    """The records of all sessions, interleaved, with dense offsets. Raises ``ValueError`` unless every type comes."""
    mixed = histories(SEED, SESSIONS)
    seen = {name for name in TYPE_NAMES for history in mixed for _, value in history if name.encode() in value}
    if missing := set(TYPE_NAMES) - seen:
        raise ValueError(f"the mixture lacks {sorted(missing)}")
    return numbered(interleaved(mixed))


def histories(seed: int, sessions: int) -> list[list[tuple[bytes, bytes]]]:
    """Keys and values of each session, in the order in which all of them are accepted."""
    chance = Random(seed)
    return [_Session(chance, f"session-{number}").history() for number in range(sessions)]


class _Session:
    """Writes a session's history; its version is the number of its events, because all are accepted."""

    def __init__(self, chance: Random, name: str) -> None:
        self._chance, self._name = chance, name
        self._key = session_key(TENANT, name).encode()
        self._history: list[tuple[bytes, bytes]] = []
        self._epoch: int | None = None

    def history(self) -> list[tuple[bytes, bytes]]:
        """Keys and values, in order."""
        self._begin()
        for turn in range(self._chance.randint(*TURNS)):
            for step in self._turn(f"{self._name}-{turn}"):
                self._agent(*step)
            self._said_by_owner()
            if self._chance.random() < 0.1:
                self._interlude()
        self._end()
        return self._history

    def _begin(self) -> None:
        state = {"city": "Rome", "budget": 900, "wishes": ["quiet", "central"]}
        self._owner("session.created", {"owner": OWNER, "title": "A trip", "labels": {"team": "t1"}, "state": state})
        joining = {"participant": AGENT, "principal": "mad", "kind": "agent"}
        self._add(AGENT, "participant.joined", joining, None)
        self._acquire()

    def _acquire(self) -> None:
        self._epoch = len(self._history) + 1
        self._add(AGENT, "lease.acquired", {"participant": AGENT, "ttl_s": 30}, None)

    def _turn(self, run: str) -> Iterator[Step]:
        """A run: tool calls, messages, patches, now and then something rarer."""
        chance = self._chance
        yield "run.started", {"run": run, "agent": AGENT}
        for call in (f"{run}-{number}" for number in range(chance.randint(1, 3))):
            arguments = {"query": self._text(6), "limit": 10}
            yield "tool_call.requested", {"tool_call": call, "name": "search", "arguments": arguments, "run": run}
            if chance.random() < 0.9:
                yield "tool_call.completed", {"tool_call": call, "parts": self._parts(40), "duration_ms": 120}
            else:
                yield "tool_call.failed", {"tool_call": call, "error": {"type": "timeout", "message": "too slow"}}
        yield "message.appended", {"role": "assistant", "parts": self._parts(30), "run": run}
        yield "state.patched", {"set": {f"hotel-{chance.randint(1, 9)}": self._text(5)}, "unset": ["budget"]}
        if chance.random() < 0.3:
            yield from self._rare(run)
        yield self._ending(run)

    def _rare(self, run: str) -> Iterator[Step]:
        chance, version = self._chance, len(self._history)
        message = {"role": "assistant", "parts": self._parts(12)}
        raised = {"interrupt": run, "reason": "approval", "message": "Book it?", "response_schema": {"type": "boolean"}}
        artifact = {"artifact": run, "name": "plan", "media_type": "text/plain", "size_bytes": 4, "sha256": SHA256}
        rare: list[list[Step]] = [
            [("interrupt.raised", raised), ("interrupt.resolved", {"interrupt": run, "status": "resolved"})],
            [("artifact.added", {**artifact, "uri": f"s3://plans/{run}"})],
            [("message.edited", {"version": version, "parts": self._parts(10)})],
            [("message.redacted", {"version": version, "reason": "private"})],
            [("history.compacted", {"from_version": 1, "to_version": version, "parts": self._parts(20)})],
            [("batch.appended", {"events": [_inner("message.appended", message)] * chance.randint(2, 6)})],
        ]
        yield from chance.choice(rare)

    def _ending(self, run: str) -> Step:
        usage = {"input_tokens": 900, "output_tokens": 120, "cost_micros": 450}
        failed = {"run": run, "error": {"type": "model", "message": "overloaded", "retryable": True}}
        endings: list[Step] = [
            ("run.completed", {"run": run, "usage": usage}),
            ("run.failed", failed),
            ("run.canceled", {"run": run, "reason": "not needed"}),
        ]
        return self._chance.choices(endings, (8, 1, 1))[0]

    def _said_by_owner(self) -> None:
        self._owner("message.appended", {"role": "user", "parts": self._parts(15)})

    def _interlude(self) -> None:
        """What people and operators do between turns."""
        lease = {"participant": AGENT, "epoch": self._epoch}
        match self._chance.randrange(5):
            case 0:
                self._owner("session.metadata_updated", {"title": "A longer trip", "labels": {"team": None, "x": "y"}})
            case 1:
                self._owner("session.suspended", {})
                self._owner("session.resumed", {})
                self._acquire()
            case 2:
                self._agent("lease.released", lease)
                self._acquire()
            case 3:
                self._owner("lease.revoked", lease)
                self._acquire()
            case _:
                self._owner("participant.role_changed", {"participant": AGENT, "role": "owner"})

    def _end(self) -> None:
        self._agent("participant.left", {"participant": AGENT})
        if self._chance.random() < 0.2:
            rewound = {"to_version": 1, "title": "A trip", "state": {"city": "Rome"}}
            self._owner("session.rewound", rewound, expectedversion=len(self._history))
        self._owner("session.closed", {"outcome": "booked"})
        if self._chance.random() < 0.1:
            self._owner("session.reopened", {})
        if self._chance.random() < 0.05:
            self._owner("session.erased", {"reason": "asked for", "requested_by": OWNER})

    def _owner(self, type_name: str, data: dict[str, Any], **attributes: Any) -> None:
        self._add(OWNER, type_name, data, None, **attributes)

    def _agent(self, type_name: str, data: dict[str, Any]) -> None:
        self._add(AGENT, type_name, data, self._epoch)

    def _add(self, actor: str, type_name: str, data: dict[str, Any], epoch: int | None, **attributes: Any) -> None:
        event = Event.model_construct(
            id=f"{self._name}-event-{len(self._history):06d}",
            source="/mads/planner",
            type=full_type(type_name),
            subject=self._name,
            tenantid=TENANT,
            time="2026-01-02T03:04:05.678Z",
            actor=actor,
            data=data,
            leaseepoch=epoch,
            **attributes,
        )
        self._history.append((self._key, encode(event)))

    def _parts(self, words: int) -> list[dict[str, Any]]:
        return [{"type": "text", "text": self._text(words)}]

    def _text(self, words: int) -> str:
        return " ".join(self._chance.choices(WORDS, k=words))


def _inner(type_name: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"type": full_type(type_name), "data": data}
