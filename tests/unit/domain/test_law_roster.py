"""Participants and their leases: who may write, and under which epoch."""

from __future__ import annotations

from typing import Any

import pytest

from everlog.domain.standing import Participant
from everlog.domain.verdicts import Accepted
from support.law import Session, message

FENCED = ("fenced",)
FORBIDDEN = ("forbidden",)


def left(participant: str) -> tuple[str, dict[str, Any]]:
    return "participant.left", {"participant": participant}


def changed(participant: str, role: str) -> tuple[str, dict[str, Any]]:
    return "participant.role_changed", {"participant": participant, "role": role}


def released(participant: str, epoch: int) -> tuple[str, dict[str, Any]]:
    return "lease.released", {"participant": participant, "epoch": epoch}


def revoked(participant: str, epoch: int) -> tuple[str, dict[str, Any]]:
    return "lease.revoked", {"participant": participant, "epoch": epoch}


def says(session: Session, **attributes: Any) -> tuple[str, ...]:
    return session.refuse("message.appended", message(), **attributes)


def opens_everything(session: Session, actor: str, mark: str, **attributes: Any) -> None:
    """Open a run, a tool call and an interrupt."""
    attributes["actor"] = actor
    session.accept("run.started", {"run": f"r{mark}", "agent": "planner"}, **attributes)
    session.accept("tool_call.requested", {"tool_call": f"t{mark}", "name": "search"}, **attributes)
    session.accept("interrupt.raised", {"interrupt": f"i{mark}", "reason": "ask", "message": "?"}, **attributes)


def opened(session: Session) -> set[str]:
    return {*session.standing.runs, *session.standing.tool_calls, *session.standing.interrupts}


@pytest.mark.parametrize(
    ("role", "writes", "governs"),
    [("owner", True, True), ("editor", True, False), ("viewer", False, False), ("analyst", False, False)],
)
def test_a_role_says_what_its_participant_may_do(role: str, writes: bool, governs: bool) -> None:
    session = Session()
    session.join("bob", role=role)
    session.join("carl")
    if writes:
        assert session.say(actor="bob") == Accepted(4)
    else:
        assert says(session, actor="bob") == FORBIDDEN
    if governs:
        session.accept(*changed("carl", "viewer"), actor="bob")
        session.accept(*left("carl"), actor="bob")
    else:
        assert session.refuse(*changed("carl", "viewer"), actor="bob") == FORBIDDEN
        assert session.refuse(*left("carl"), actor="bob") == FORBIDDEN
    session.accept(*left("bob"), actor="bob")


def test_a_changed_role_counts_from_then_on() -> None:
    session = Session()
    session.join("bob", role="viewer")
    session.accept(*changed("bob", "editor"))
    assert session.say(actor="bob") == Accepted(4)
    session.accept(*changed("bob", "analyst"), actor="system:admin")
    assert says(session, actor="bob") == FORBIDDEN
    assert session.refuse(*changed("carl", "editor")) == ("unknown_reference", "carl")


def test_the_system_may_do_what_an_owner_may() -> None:
    session = Session()
    session.join("bob", actor="system:door")
    session.accept(*left("bob"), actor="system:reaper")
    assert session.say(actor="system:reaper") == Accepted(4)
    assert session.refuse(*left("bob"), actor="system:reaper") == ("unknown_reference", "bob")


def test_a_name_that_only_begins_like_the_system_is_nobody() -> None:
    assert says(Session(), actor="systematic") == FORBIDDEN


def test_the_entry_of_who_leaves_goes_and_the_owners_stays_with_its_kind() -> None:
    session = Session(owner_kind="agent")
    session.join("bob")
    session.accept(*left("bob"), actor="bob")
    assert set(session.standing.roster) == {"ada"}
    session.accept(*left("ada"))
    assert session.standing.roster == {"ada": Participant("ada", "owner", "agent", present=False)}
    assert session.standing.present == 0
    assert session.refuse(*left("ada")) == ("unknown_reference", "ada")


def test_an_owner_comes_back_as_it_was_whatever_its_joining_says() -> None:
    session = Session(owner_kind="service")
    session.accept(*left("ada"))
    session.join("ada", kind="human", role="viewer")
    assert session.standing.roster == {"ada": Participant("ada", "owner", "service")}
    assert session.standing.present == 1


def test_an_owner_who_left_still_writes_but_takes_no_lease() -> None:
    session = Session()
    session.accept(*left("ada"))
    assert session.say() == Accepted(3)
    refused = session.refuse("lease.acquired", {"participant": "ada", "ttl_s": 30})
    assert refused == ("unknown_reference", "ada")


def test_joining_twice_is_already_open_and_joining_again_after_leaving_is_not() -> None:
    session = Session()
    session.join("bob", kind="agent", role="editor")
    data = {"participant": "bob", "principal": "other", "kind": "human"}
    assert session.refuse("participant.joined", data, actor="bob") == ("already_open", "bob")
    session.accept(*left("bob"))
    session.accept("participant.joined", data, actor="bob")
    assert session.standing.roster["bob"] == Participant("other", "editor", "human")


def test_who_leaves_abandons_what_it_opened_and_nothing_of_others() -> None:
    session = Session()
    session.join("bob")
    opens_everything(session, "ada", "1")
    opens_everything(session, "bob", "2")
    session.accept(*left("bob"))
    assert opened(session) == {"r1", "t1", "i1"}
    session.accept(*left("ada"))
    assert opened(session) == set()


def test_the_epoch_of_a_lease_is_the_version_that_acquired_it() -> None:
    session = Session()
    session.join("bot", kind="agent")
    assert session.acquire("bot") == 3
    assert session.standing.lease_epoch("bot") == 3
    assert session.say(actor="bot", leaseepoch=3) == Accepted(4)
    for stale in (0, 2, 4, 99):
        assert says(session, actor="bot", leaseepoch=stale) == FENCED
    assert says(session, actor="bot") == FENCED


def test_an_agent_needs_a_lease_even_to_leave() -> None:
    session = Session()
    session.join("bot", kind="agent")
    assert says(session, actor="bot") == FENCED
    assert session.refuse(*left("bot"), actor="bot") == FENCED
    session.accept(*left("bot"), actor="bot", leaseepoch=session.acquire("bot"))
    assert session.standing.lease_epoch("bot") == 0


@pytest.mark.parametrize("kind", ["human", "service"])
def test_others_than_agents_need_a_lease_only_while_they_hold_one(kind: str) -> None:
    session = Session()
    session.join("bob", kind=kind)
    assert session.say(actor="bob") == Accepted(3)
    assert says(session, actor="bob", leaseepoch=1) == FENCED
    epoch = session.acquire("bob")
    assert says(session, actor="bob") == FENCED
    assert session.say(actor="bob", leaseepoch=epoch) == Accepted(5)


def test_owner_and_system_need_no_lease_unless_they_hold_one() -> None:
    session = Session(owner_kind="agent")
    assert session.say() == Accepted(2)
    assert session.say(actor="system:reaper") == Accepted(3)
    assert says(session, actor="system:reaper", leaseepoch=1) == FENCED
    epoch = session.acquire("ada")
    assert says(session) == FENCED
    assert session.say(leaseepoch=epoch) == Accepted(5)


def test_a_lease_is_taken_over_only_by_who_saw_its_epoch_dead() -> None:
    session = Session()
    session.join("bot", kind="agent")
    first = session.acquire("bot")
    again = {"participant": "bot", "ttl_s": 30}
    assert session.refuse("lease.acquired", again, actor="bot") == ("held",)
    assert session.refuse("lease.acquired", {**again, "supersedes": 2}, actor="bot", leaseepoch=first) == ("held",)
    second = session.acquire("bot", supersedes=first)
    assert says(session, actor="bot", leaseepoch=first) == FENCED
    assert session.say(actor="bot", leaseepoch=second) == Accepted(second + 1)


def test_a_free_lease_is_never_held() -> None:
    session = Session()
    session.join("bot", kind="agent")
    assert session.acquire("bot", supersedes=99) == 3


def test_a_lease_is_taken_and_given_back_by_its_participant_alone() -> None:
    session = Session()
    session.join("bot", kind="agent")
    assert session.refuse("lease.acquired", {"participant": "bot", "ttl_s": 30}) == FORBIDDEN
    assert session.refuse("lease.acquired", {"participant": "bot", "ttl_s": 30}, actor="system:x") == FORBIDDEN
    epoch = session.acquire("bot")
    assert session.refuse(*released("bot", epoch)) == FORBIDDEN
    session.accept(*released("bot", epoch), actor="bot", leaseepoch=epoch)
    assert session.standing.lease_epoch("bot") == 0


def test_a_viewer_takes_no_lease_and_gives_none_back() -> None:
    session = Session()
    session.join("eve", role="viewer")
    assert session.refuse("lease.acquired", {"participant": "eve", "ttl_s": 30}, actor="eve") == FORBIDDEN
    assert session.refuse(*released("eve", 1), actor="eve") == FORBIDDEN


def test_giving_back_another_epoch_than_the_held_one_is_fenced() -> None:
    session = Session()
    session.join("bot", kind="agent")
    assert session.refuse(*released("bot", 1), actor="bot") == FENCED
    epoch = session.acquire("bot")
    assert session.refuse(*released("bot", 2), actor="bot", leaseepoch=epoch) == FENCED
    assert session.refuse(*released("bot", epoch), actor="bot", leaseepoch=2) == FENCED
    assert session.refuse(*revoked("bot", 2)) == FENCED
    assert session.refuse(*revoked("nobody", 2)) == FENCED


def test_giving_a_lease_back_abandons_nothing() -> None:
    session = Session()
    session.join("bot", kind="agent")
    epoch = session.acquire("bot")
    opens_everything(session, "bot", "1", leaseepoch=epoch)
    session.accept(*released("bot", epoch), actor="bot", leaseepoch=epoch)
    assert opened(session) == {"r1", "t1", "i1"}


def test_revoking_fences_the_holder_and_abandons_what_it_opened() -> None:
    session = Session()
    session.join("bot", kind="agent")
    epoch = session.acquire("bot")
    opens_everything(session, "ada", "1")
    opens_everything(session, "bot", "2", leaseepoch=epoch)
    session.accept(*revoked("bot", epoch), actor="system:reaper")
    assert opened(session) == {"r1", "t1", "i1"}
    assert session.standing.lease_epoch("bot") == 0
    assert says(session, actor="bot", leaseepoch=epoch) == FENCED
    assert session.acquire("bot") > epoch


def test_whoever_writes_may_revoke_and_a_viewer_may_not() -> None:
    session = Session()
    session.join("bot", kind="agent")
    session.join("eve", role="viewer")
    session.join("bob")
    epoch = session.acquire("bot")
    assert session.refuse(*revoked("bot", epoch), actor="eve") == FORBIDDEN
    session.accept(*revoked("bot", epoch), actor="bob")


def test_joining_oneself_needs_no_lease_and_bringing_another_does() -> None:
    session = Session()
    session.join("bot", kind="agent")
    session.acquire("bot")
    again = {"participant": "bot", "principal": "bot", "kind": "agent"}
    assert session.refuse("participant.joined", again, actor="bot") == ("already_open", "bot")
    other = {"participant": "tool", "principal": "tool", "kind": "agent"}
    assert session.refuse("participant.joined", other, actor="bot") == FENCED
    session.accept("participant.joined", other, actor="bot", leaseepoch=3)
    session.accept("participant.joined", {**other, "participant": "late"}, actor="stranger")


def test_a_lease_ends_with_leaving_and_an_old_epoch_never_comes_back() -> None:
    session = Session()
    session.join("bot", kind="agent")
    old = session.acquire("bot")
    session.accept(*left("bot"), actor="bot", leaseepoch=old)
    session.join("bot", kind="agent")
    assert says(session, actor="bot", leaseepoch=old) == FENCED
    assert session.acquire("bot") > old
    assert says(session, actor="bot", leaseepoch=old) == FENCED


def test_the_owners_lease_ends_with_leaving() -> None:
    session = Session()
    epoch = session.acquire("ada")
    session.accept(*left("ada"), leaseepoch=epoch)
    assert session.standing.lease_epoch("ada") == 0
    assert session.say() == Accepted(4)
