"""A session under the law, for tests: hand it events one by one, look at the verdicts and at the state."""

from __future__ import annotations

from typing import Any

from everlog.domain.event import Event
from everlog.domain.law import LAW, Law
from everlog.domain.standing import Standing
from everlog.domain.state import State, state_hash
from everlog.domain.verdicts import Accepted, Reason, Rejected, Verdict
from everlog.domain.view import View
from support.events import event

MAC = "M" * 22
NONCE = "N" * 16


class Session:
    """A session that ada created, unless ``created`` is False; every event is ada's where nothing else is said."""

    def __init__(self, *, created: bool = True, law: Law = LAW, **data: Any) -> None:
        self.law = law
        self.state: State | None = None
        if created:
            assert self.take("session.created", {"owner": "ada", **data}) == Accepted(1)

    def take(self, type_name: str, data: dict[str, Any], **attributes: Any) -> Verdict:
        """The verdict on an event."""
        return self.step(event(type_name, data, **attributes))

    def step(self, decoded: Event) -> Verdict:
        """The verdict on a decoded event."""
        self.state, verdict = self.law.step(self.state, decoded)
        return verdict

    def accept(self, type_name: str, data: dict[str, Any], **attributes: Any) -> int:
        """The version that an event made."""
        verdict = self.take(type_name, data, **attributes)
        assert isinstance(verdict, Accepted), verdict
        return verdict.version

    def refuse(self, type_name: str, data: dict[str, Any], **attributes: Any) -> tuple[str, ...]:
        """The reason of an event's rejection, and what it names."""
        verdict = self.take(type_name, data, **attributes)
        assert isinstance(verdict, Rejected), verdict
        assert verdict.version == (self.state.version if self.state is not None else 0)
        return (verdict.reason.text, *verdict.detail)

    def say(self, text: str = "hi", **attributes: Any) -> Verdict:
        """The verdict on a message."""
        return self.take("message.appended", message(text), **attributes)

    def join(self, participant: str, *, kind: str = "human", role: str = "editor", **attributes: Any) -> int:
        """The version at which a participant joined."""
        data = {"participant": participant, "principal": f"{participant}-abroad", "kind": kind, "role": role}
        return self.accept("participant.joined", data, **{"actor": participant, **attributes})

    def acquire(self, participant: str, supersedes: int = 0) -> int:
        """The epoch of a participant's new lease."""
        data = {"participant": participant, "ttl_s": 30, "supersedes": supersedes}
        return self.accept("lease.acquired", data, actor=participant)

    @property
    def standing(self) -> Standing:
        """What the next verdict depends on."""
        assert self.state is not None
        return self.state.standing

    @property
    def view(self) -> View:
        """What people read."""
        assert self.state is not None
        return self.state.view

    @property
    def hash(self) -> str:
        """The state hash."""
        assert self.state is not None
        return state_hash(self.state)


def message(text: str = "hi", **data: Any) -> dict[str, Any]:
    """The data of a message."""
    return {"role": "user", "parts": [{"type": "text", "text": text}], **data}


def inner(type_name: str, data: dict[str, Any]) -> dict[str, Any]:
    """An event of a batch."""
    return {"type": f"everlog.{type_name}.v1" if type_name.count(".") == 1 else type_name, "data": data}


def sealed(size: int, *, mac: str = MAC, nonce: str = NONCE, letter: str = "C") -> dict[str, Any]:
    """An encrypted value whose clear one has ``size`` bytes."""
    text = letter * -(-(size + 16) * 4 // 3)
    return {"enc": {"key": "k1", "mac": mac, "nonce": nonce, "size": size, "text": text}}


def reason_of(verdict: Verdict) -> Reason:
    """The reason of a rejection."""
    assert isinstance(verdict, Rejected), verdict
    return verdict.reason
