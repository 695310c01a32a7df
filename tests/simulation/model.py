"""A second, plain reading of rules 1, in so far as an audit needs it. It shares no code with the law.

It follows the accepted events of one session and says of every verdict whether it may be: it does not decide, so it can
be simple where the law must be exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from everlog.domain.verdicts import Accepted, Duplicate, Reason, Rejected, Verdict
from simulation.violation import demand

CREATION = "everlog.session.created.v1"
STATUS_AFTER = {
    "suspended": "dormant",
    "closed": "closed",
    "resumed": "active",
    "reopened": "active",
    "erased": "erased",
}
NEVER_FOR_A_PLAIN_APPEND = frozenset(Reason) - {Reason.RETRY_EXPIRED, Reason.LIMIT_EXCEEDED}
"""Reasons that an event cannot meet which refers to nothing and comes from who may write."""


@dataclass
class Member:
    """A present participant."""

    kind: str
    epoch: int = 0


@dataclass
class Session:
    """What a plain reader knows of a session."""

    version: int = 0
    creation: tuple[str, dict[str, Any]] | None = None
    status: str = "active"
    owner: str = ""
    members: dict[str, Member] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    first: dict[str, Accepted | Rejected] = field(default_factory=dict)
    """The last verdict on each id that was no duplicate."""
    applied: set[str] = field(default_factory=set)
    """What writers wanted, by correlation id, once it was accepted."""

    def follow(self, event: dict[str, Any], verdict: Verdict) -> None:
        """Check the verdict on the next event, and take it in."""
        if isinstance(verdict, Duplicate):
            is_known = self.first.get(event["id"]) == verdict.first or self.is_same_creation(event)
            self._demand(is_known, "a duplicate of nothing", event, verdict)
            return
        if isinstance(verdict, Accepted):
            self._may_be_accepted(event, verdict)
            self._take_in(event)
        else:
            self._may_be_rejected(event, verdict)
        self.first[event["id"]] = verdict

    def _demand(self, holds: bool, what: str, event: dict[str, Any], verdict: Verdict) -> None:
        demand(holds, what if holds else f"{what}: {verdict} on {event} in {self}")

    def _may_be_accepted(self, event: dict[str, Any], verdict: Accepted) -> None:
        self._demand(verdict.version == self.version + 1, "a gap in the versions", event, verdict)
        self._demand(event["correlationid"] not in self.applied, "applied twice", event, verdict)
        self._demand(
            event.get("expectedversion", self.version) == self.version, "a stale version went through", event, verdict
        )
        self._demand(not self.is_stale(event), "a stale key went through", event, verdict)
        if event["type"] != CREATION:
            self._demand(not self.is_fenced(event), "a dead epoch went through", event, verdict)
            self._demand(self.is_permitted(event), "a stranger went through", event, verdict)
            self._demand(self.status != "erased", "written after the end", event, verdict)

    def _may_be_rejected(self, event: dict[str, Any], verdict: Rejected) -> None:
        reason = verdict.reason
        if self.is_plain(event):
            self._demand(reason not in NEVER_FOR_A_PLAIN_APPEND, "an append that commutes was refused", event, verdict)
        self._demand(self._is_true(reason, event), "a reason that is none", event, verdict)

    def _is_true(self, reason: Reason, event: dict[str, Any]) -> bool:
        match reason:
            case Reason.VERSION_CONFLICT:
                return bool(event.get("expectedversion", self.version) != self.version)
            case Reason.FENCED:
                return self.is_fenced(event)
            case Reason.KEY_CONFLICT:
                return self.is_stale(event)
            case Reason.FORBIDDEN:
                return not self.is_permitted(event)
            case Reason.HELD:
                return self.members[event["actor"]].epoch not in {0, event["data"].get("supersedes", 0)}
            case Reason.RETRY_EXPIRED:
                return bool(event.get("retry", False))
            case Reason.NOT_FOUND:
                return self.version == 0
            case Reason.CLOSED | Reason.DORMANT | Reason.ERASED:
                return self.status == reason.text
            case Reason.ID_REUSED | Reason.MALFORMED | Reason.LIMIT_EXCEEDED:
                return False  # no writer does this
            case _:
                return True

    def is_same_creation(self, event: dict[str, Any]) -> bool:
        """Whether it is the session's creation once more, perhaps under another id."""
        return event["type"] == CREATION and (event["actor"], event["data"]) == self.creation

    def is_plain(self, event: dict[str, Any]) -> bool:
        """Whether it is a message without any condition, from who may write, in an active session."""
        return (
            event["type"] == "everlog.message.appended.v1"
            and "expectedversion" not in event
            and "run" not in event["data"]
            and self.version > 0
            and self.status == "active"
            and self.is_permitted(event)
            and not self.is_fenced(event)
        )

    def is_stale(self, event: dict[str, Any]) -> bool:
        """Whether a key that the event expects at a version has another one."""
        expected = [pair for data in inner_data(event) for pair in data.get("expected_keys", {}).items()]
        return any(self.keys.get(key, 0) != version for key, version in expected)

    def is_permitted(self, event: dict[str, Any]) -> bool:
        """Whether the actor may write here, or joins."""
        actor, member = event["actor"], self.members.get(event["actor"])
        may_write = actor == self.owner or actor.startswith("system:") or member is not None
        return may_write or event["type"] == "everlog.participant.joined.v1"

    def is_fenced(self, event: dict[str, Any]) -> bool:
        """Whether the event comes from a dead epoch, or from an agent without one."""
        data, given = event["data"], event.get("leaseepoch")
        if event["type"].startswith("everlog.lease.re"):
            member = self.members.get(data["participant"])
            if member is None or member.epoch != data["epoch"]:
                return True
        if event["type"] in {"everlog.lease.acquired.v1", "everlog.participant.joined.v1"}:
            return False
        member = self.members.get(event["actor"])
        if member is None:
            return given is not None
        return given != (member.epoch or None) or (member.kind == "agent" and not member.epoch)

    def _take_in(self, event: dict[str, Any]) -> None:
        self.version += 1
        self.applied.add(event["correlationid"])
        entity, what = event["type"].split(".")[1:3]
        data = event["data"]
        if entity == "session":
            self._lives(what, event["actor"], data)
        elif entity == "participant" and what == "joined":
            self.members[data["participant"]] = Member(data["kind"])
        elif entity == "participant":
            del self.members[data["participant"]]
        elif entity == "lease":
            self.members[data["participant"]].epoch = self.version if what == "acquired" else 0
        for inner in inner_data(event):
            self.keys |= dict.fromkeys(inner.get("set", {}), self.version)

    def _lives(self, what: str, actor: str, data: dict[str, Any]) -> None:
        if what == "created":
            self.owner, self.creation = data["owner"], (actor, data)
            self.members = {self.owner: Member("human")}
            self.members |= {one["participant"]: Member(one["kind"]) for one in data["participants"]}
            return
        self.status = STATUS_AFTER[what]
        if what in {"suspended", "closed"}:
            for member in self.members.values():
                member.epoch = 0
        if what == "erased":
            self.members, self.keys, self.owner = {}, {}, ""


def inner_data(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The data of an event, or of each event of a batch."""
    if event["type"] == "everlog.batch.appended.v1":
        return [inner["data"] for inner in event["data"]["events"]]
    return [event["data"]]
