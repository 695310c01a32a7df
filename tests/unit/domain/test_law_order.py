"""The checks of rules 1 in their order: where an event fails two of them, the earlier one names the verdict."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any, Final

import msgspec
import pytest

from everlog.domain.verdicts import Accepted, Duplicate, Reason
from everlog.schemas.limits import OPEN_REFERENCES, RING_ACCEPTED, STATE_BYTES
from support.law import Session, inner, message, reason_of

Handed = tuple[str, dict[str, Any], dict[str, Any]]
"""An event to hand over: short type, data, attributes."""

BIG: Final = "x" * STATE_BYTES


class Scene(msgspec.Struct):
    """A history, and the event that comes next. A check's function below spoils it so that the check fails."""

    type: str = "message.appended"
    data: dict[str, Any] = msgspec.field(default_factory=message)
    attributes: dict[str, Any] = {}
    before: list[Handed] = []
    after: list[Handed] = []

    def proposes(self, type_name: str, **data: Any) -> None:
        self.type, self.data = type_name, data

    def verdict(self) -> str:
        session = Session()
        for type_name, data, attributes in (*self.before, *self.after):
            session.accept(type_name, data, **attributes)
        return reason_of(session.take(self.type, self.data, **self.attributes)).text


def erased(scene: Scene) -> None:
    scene.after.append(("session.erased", {"reason": "asked", "requested_by": "ada"}, {}))


def id_reused(scene: Scene) -> None:
    scene.before.append(("message.appended", message("another"), {"id": "used"}))
    scene.attributes["id"] = "used"


def retry_expired(scene: Scene) -> None:
    scene.before += [("message.appended", message(), {})] * (RING_ACCEPTED + 1)
    scene.attributes |= {"retry": True, "seenversion": 1}


def exists(scene: Scene) -> None:
    scene.proposes("session.created", owner="bob")


def closed(scene: Scene) -> None:
    scene.after.append(("session.closed", {}, {}))


def dormant(scene: Scene) -> None:
    scene.after.append(("session.suspended", {}, {}))


def forbidden(scene: Scene) -> None:
    scene.attributes["actor"] = "eve"


def fenced(scene: Scene) -> None:
    scene.attributes["leaseepoch"] = 99


def held(scene: Scene) -> None:
    bob = {"participant": "bob", "principal": "bob", "kind": "agent"}
    acquired = {"participant": "bob", "ttl_s": 30}
    scene.before += [("participant.joined", bob, {}), ("lease.acquired", acquired, {"actor": "bob"})]
    scene.attributes["actor"] = "bob"
    scene.proposes("lease.acquired", **acquired)


def version_conflict(scene: Scene) -> None:
    scene.attributes["expectedversion"] = 999


def key_conflict(scene: Scene) -> None:
    scene.proposes("state.patched", set={"city": "Rome"}, expected_keys={"city": 7})


def unknown_reference(scene: Scene) -> None:
    scene.proposes("run.completed", run="r-unknown")


def already_open(scene: Scene) -> None:
    scene.before.append(("run.started", {"run": "r-1", "agent": "planner"}, {}))
    scene.proposes("run.started", run="r-1", agent="planner")


def limit_exceeded(scene: Scene) -> None:
    scene.proposes("state.patched", set={"big": BIG})


Check = Callable[[Scene], None]
ORDER: Final[tuple[Check, ...]] = (
    erased,
    id_reused,
    retry_expired,
    exists,
    closed,
    dormant,
    forbidden,
    fenced,
    held,
    version_conflict,
    key_conflict,
    unknown_reference,
    already_open,
    limit_exceeded,
)

FILL: Final[list[Handed]] = [
    ("run.started", {"run": f"r-{number}", "agent": "planner"}, {}) for number in range(OPEN_REFERENCES)
]
PATCH: Final = {"expected_keys": {"city": 7}}
TOGETHER: Final[dict[tuple[Check, Check], Scene]] = {
    (exists, limit_exceeded): Scene("session.created", {"owner": "ada", "state": {"big": BIG}}),
    (key_conflict, unknown_reference): Scene(
        "batch.appended", {"events": [inner("run.completed", {"run": "r-unknown"}), inner("state.patched", PATCH)]}
    ),
    (key_conflict, already_open): Scene(
        "batch.appended",
        {"events": [inner("run.started", FILL[0][1]), inner("state.patched", PATCH)]},
        before=FILL[:1],
    ),
    (key_conflict, limit_exceeded): Scene("state.patched", {"set": {"big": BIG}, **PATCH}),
    (unknown_reference, already_open): Scene("run.started", {**FILL[0][1], "parent_run": "r-unknown"}, before=FILL[:1]),
    (unknown_reference, limit_exceeded): Scene(
        "run.started", {"run": "r-new", "agent": "planner", "parent_run": "r-unknown"}, before=FILL
    ),
    (already_open, limit_exceeded): Scene("run.started", FILL[0][1], before=FILL),
}
"""Checks of what the event itself says: both fail in one event of their own."""

NEVER_TOGETHER: Final = {
    (retry_expired, exists),  # a creation is judged by its digest however late its retry comes
    (closed, dormant),  # a session has one status
    (fenced, held),  # acquiring needs no lease
    # A creation wants no lease, expects no keys, names nothing and opens nothing; likewise an acquisition.
    *((exists, later) for later in (held, key_conflict, unknown_reference, already_open)),
    *((held, later) for later in (key_conflict, unknown_reference, already_open, limit_exceeded)),
}


PAIRS: Final = [pair for pair in combinations(ORDER, 2) if pair not in NEVER_TOGETHER]


def named(check: Check) -> str:
    return check.__name__


@pytest.mark.parametrize("check", ORDER, ids=named)
def test_an_event_that_fails_one_check_gets_its_verdict(check: Check) -> None:
    scene = Scene()
    check(scene)
    assert scene.verdict() == check.__name__


@pytest.mark.parametrize(("earlier", "later"), PAIRS, ids=named)
def test_of_two_checks_that_fail_the_earlier_one_wins(earlier: Check, later: Check) -> None:
    scene = TOGETHER.get((earlier, later))
    if scene is None:
        scene = Scene()
        later(scene)
        earlier(scene)
    assert scene.verdict() == earlier.__name__


@pytest.mark.parametrize("check", [check for check in ORDER if check is not exists], ids=named)
def test_without_a_session_every_event_but_a_creation_is_not_found(check: Check) -> None:
    scene = Scene()
    check(scene)
    session = Session(created=False)
    assert session.refuse(scene.type, scene.data, **scene.attributes) == ("not_found",)
    assert session.state is None


@pytest.mark.parametrize("check", [closed, dormant, fenced, version_conflict], ids=named)
def test_an_event_that_was_judged_is_a_duplicate_whatever_it_would_fail_now(check: Check) -> None:
    session = Session()
    assert session.say(id="m") == Accepted(2)
    scene = Scene()
    check(scene)
    for type_name, data, attributes in scene.after:
        session.accept(type_name, data, **attributes)
    assert session.say(id="m", **scene.attributes) == Duplicate(Accepted(2))


def test_an_event_that_is_still_in_the_ring_is_a_duplicate_however_late_its_retry_says_it_comes() -> None:
    session = Session()
    assert session.say(id="m") == Accepted(2)
    for _ in range(RING_ACCEPTED - 1):
        session.say()
    assert session.standing.version == RING_ACCEPTED + 1
    assert session.say(id="m", retry=True, seenversion=0) == Duplicate(Accepted(2))
    assert session.refuse("message.appended", message(), retry=True, seenversion=0) == ("retry_expired",)


def test_an_erased_session_knows_no_duplicates() -> None:
    session = Session()
    session.say(id="m")
    session.accept("session.erased", {"reason": "asked", "requested_by": "ada"})
    assert session.refuse("message.appended", message(), id="m") == ("erased",)


def test_the_numbers_of_the_reasons_follow_the_order_of_the_checks() -> None:
    names = ["malformed", "erased", "duplicate", "id_reused", "retry_expired", "not_found"]
    assert [reason.text for reason in Reason] == names + [check.__name__ for check in ORDER[3:]]
    assert all(later == earlier + 1 for earlier, later in pairwise(Reason))


def test_a_creation_that_is_too_large_leaves_nothing_behind() -> None:
    session = Session(created=False)
    assert session.refuse("session.created", {"owner": "ada", "state": {"big": BIG}}) == (
        "limit_exceeded",
        "state_bytes",
    )
    assert session.state is None
    assert session.take("session.created", {"owner": "ada"}) == Accepted(1)
