"""Several writers with leases against a model that only knows who may write: no stale writer ever gets through."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from everlog.domain.event import Event
from everlog.domain.fold import Stretch, fold_session
from everlog.domain.law import LAW
from everlog.domain.state import State, state_hash
from everlog.domain.verdicts import Accepted, Duplicate, Reason, Rejected, Verdict, pack
from everlog.schemas.limits import RING_ACCEPTED
from support.events import KEY, PARTITION, records, value
from support.law import message

AGENTS: Final = ("bot", "bit")
WRITERS: Final = ("ada", "bob", *AGENTS)
who = st.sampled_from(WRITERS)
agent = st.sampled_from(AGENTS)


class Writers(RuleBasedStateMachine):
    """The model: who is present, which epoch each one holds, which epochs were ever given, what was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.state: State | None = None
        self.log: list[bytes] = []
        self.verdicts: list[Verdict] = []
        self.present = {"ada"}
        self.held = dict.fromkeys(WRITERS, 0)
        self.given: list[int] = [0]
        self.awake = True
        self.version = 1
        self.accepted: list[tuple[bytes, Accepted]] = []

    def hands_over(self, type_name: str, data: dict[str, Any], **attributes: Any) -> Verdict:
        return self.takes(value(type_name, data, **attributes))

    def takes(self, raw: bytes) -> Verdict:
        event = LAW.decode(raw)
        assert isinstance(event, Event)
        self.log.append(raw)
        self.state, verdict = LAW.step(self.state, event)
        self.verdicts.append(verdict)
        if isinstance(verdict, Accepted):
            self.version += len(self.log) > 1
            assert verdict.version == self.version
            self.accepted.append((raw, verdict))
        return verdict

    def may_write(self, name: str, epoch: int | None) -> bool:
        """The model's own words for fencing."""
        if not self.awake or (name not in self.present and name != "ada"):
            return False
        if self.held[name]:
            return epoch == self.held[name]
        return epoch is None and name not in AGENTS

    @initialize()
    def creation(self) -> None:
        assert self.hands_over("session.created", {"owner": "ada"}) == Accepted(1)

    @rule(name=who)
    def joins(self, name: str) -> None:
        kind = "agent" if name in AGENTS else "human"
        verdict = self.hands_over(
            "participant.joined", {"participant": name, "principal": name, "kind": kind}, actor=name
        )
        assert isinstance(verdict, Accepted) == (self.awake and name not in self.present)
        if isinstance(verdict, Accepted):
            self.present.add(name)

    @rule(name=who)
    def leaves(self, name: str) -> None:
        epoch = {"leaseepoch": self.held[name]} if self.held[name] else {}
        allowed = name in self.present and self.may_write(name, self.held[name] or None)
        verdict = self.hands_over("participant.left", {"participant": name}, actor=name, **epoch)
        assert isinstance(verdict, Accepted) == allowed
        if allowed:
            self.present.discard(name)
            self.held[name] = 0

    @rule(name=agent)
    def is_put_out(self, name: str) -> None:
        verdict = self.hands_over("participant.left", {"participant": name}, actor="system:x")
        assert isinstance(verdict, Accepted) == (self.awake and name in self.present)
        if isinstance(verdict, Accepted):
            self.present.discard(name)
            self.held[name] = 0

    @rule(name=who, data=st.data())
    def acquires(self, name: str, data: st.DataObject) -> None:
        supersedes = data.draw(st.sampled_from([self.held[name], *self.given[-3:]]))
        wanted = {"participant": name, "ttl_s": 30, "supersedes": supersedes}
        verdict = self.hands_over("lease.acquired", wanted, actor=name)
        allowed = self.awake and name in self.present and self.held[name] in (0, supersedes)
        assert isinstance(verdict, Accepted) == allowed
        if isinstance(verdict, Accepted):
            assert verdict.version > max(self.given)
            self.held[name] = verdict.version
            self.given.append(verdict.version)

    @rule(name=who)
    def gives_back(self, name: str) -> None:
        held = self.held[name]
        verdict = self.hands_over(
            "lease.released", {"participant": name, "epoch": held or 1}, actor=name, leaseepoch=held
        )
        assert isinstance(verdict, Accepted) == (self.awake and held > 0)
        if isinstance(verdict, Accepted):
            self.held[name] = 0

    @rule(name=who, data=st.data())
    def is_revoked(self, name: str, data: st.DataObject) -> None:
        epoch = data.draw(st.sampled_from([self.held[name] or 1, *self.given[1:]]))
        verdict = self.hands_over("lease.revoked", {"participant": name, "epoch": epoch}, actor="system:x")
        assert isinstance(verdict, Accepted) == (self.awake and self.held[name] == epoch)
        if isinstance(verdict, Accepted):
            self.held[name] = 0

    @rule(name=who, data=st.data())
    def writes(self, name: str, data: st.DataObject) -> None:
        epoch = data.draw(st.sampled_from([None, self.held[name], *self.given[-4:], self.version, self.version + 1]))
        attributes = {} if epoch is None else {"leaseepoch": epoch}
        verdict = self.hands_over("message.appended", message(), actor=name, **attributes)
        assert isinstance(verdict, Accepted) == self.may_write(name, epoch)
        if isinstance(verdict, Rejected):
            assert verdict.reason in (Reason.FENCED, Reason.FORBIDDEN, Reason.DORMANT)

    @rule(ahead=st.integers(-3, 3))
    def expects(self, ahead: int) -> None:
        expected = max(0, self.version + ahead)
        right = expected == self.version and self.awake
        verdict = self.hands_over("message.appended", message(), actor="system:x", expectedversion=expected)
        assert isinstance(verdict, Accepted) == right

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def tries_again(self, data: st.DataObject) -> None:
        raw, first = data.draw(st.sampled_from(self.accepted[-RING_ACCEPTED:]))
        assert self.takes(raw) == Duplicate(first)

    @rule()
    def falls_asleep_or_wakes_up(self) -> None:
        self.hands_over("session.suspended" if self.awake else "session.resumed", {}, actor="system:x")
        self.awake = not self.awake
        self.held = dict.fromkeys(WRITERS, 0) if not self.awake else self.held

    @invariant()
    def the_state_says_who_holds_what(self) -> None:
        if self.state is not None:
            standing = self.state.standing
            assert standing.version == self.version
            assert {name for name in WRITERS if standing.is_present(name)} == self.present
            assert {name: standing.lease_epoch(name) for name in WRITERS} == self.held

    def teardown(self) -> None:
        """The same log folded at once gives the same verdicts and the same state."""
        if self.state is None:
            return
        fold = fold_session(KEY, None, records(self.log), Stretch(0, PARTITION, 0))
        assert [packed for _, packed in fold.outcomes] == [pack(verdict) for verdict in self.verdicts]
        assert fold.document is not None
        assert fold.document.state is not None
        assert state_hash(fold.document.state) == state_hash(self.state)


TestWriters = Writers.TestCase
