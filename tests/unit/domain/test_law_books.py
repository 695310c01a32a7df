"""Two rule books side by side: each event is read by its own, judged by the higher, and lifted from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import pytest

from everlog.domain.decide import decide
from everlog.domain.event import Event, FreeJson, Malformed, Payload, UnknownRules
from everlog.domain.fold import Stretch, fold_session, replay_session
from everlog.domain.law import LAW, Law, UnknownRulesError, upcast
from everlog.domain.registry import RULES_1, RuleBook
from everlog.domain.standing import Standing
from everlog.domain.state import state_hash
from everlog.domain.types.batch import BatchAppended
from everlog.domain.types.content_fields import Part
from everlog.domain.types.fields import anchored
from everlog.domain.types.message import MessageAppended
from everlog.domain.verdicts import Accepted, Reason, Rejected, Verdict
from everlog.domain.view import View
from support.events import KEY, PARTITION, created, records, value
from support.law import Session, inner, message

V1, V2 = "everlog.message.appended.v1", "everlog.message.appended.v2"


class MessageAppended2(Payload, frozen=True):
    """A message under rules 2: one text. Rules 2 also refuse a text that shouts."""

    text: str
    tags: dict[str, Any] = {}

    def free_json(self) -> Sequence[FreeJson]:
        return ((1, self.tags),)

    def refusal(self, standing: Standing) -> Rejected | None:
        if not self.text.isupper():
            return None
        return Rejected(Reason.LIMIT_EXCEEDED, standing.version, ("shouting",))

    def show(self, view: View, version: int) -> None:
        view.messages += 1


def lifted(payload: Payload) -> Payload:
    assert isinstance(payload, MessageAppended)
    assert isinstance(payload.parts, list)
    return MessageAppended2(" ".join(part.text or "" for part in payload.parts))


def marked(payload: Payload) -> Payload:
    assert isinstance(payload, MessageAppended2)
    return msgspec.structs.replace(payload, text=f"{payload.text}!")


def decide_2(standing: Standing | None, event: Event) -> Verdict:
    """Rules 2: as rules 1, and robots are forbidden."""
    if event.actor == "system:robot":
        return Rejected(Reason.FORBIDDEN, standing.version if standing is not None else 0)
    return decide(standing, event)


TYPES_2: Final = {name: payload for name, payload in RULES_1.types.items() if name != V1} | {V2: MessageAppended2}
RULES_2: Final = RuleBook(TYPES_2, (RULES_1.batchable - {V1}) | {V2}, decide_2, {MessageAppended: lifted})
RULES_3: Final = RuleBook(
    {name: payload for name, payload in TYPES_2.items() if name != "everlog.session.suspended.v1"},
    RULES_2.batchable,
    decide_2,
    {MessageAppended2: marked},
)
BOTH: Final = Law({1: RULES_1, 2: RULES_2})
ALL: Final = Law({1: RULES_1, 2: RULES_2, 3: RULES_3})


def under(rules: int, type_name: str, data: dict[str, Any], law: Law = BOTH, **attributes: Any) -> Event:
    """A decoded event of some rules."""
    own, named = b'"type":"org.example.thing"', b'"type":"%b"' % type_name.encode()
    raw = value("org.example.thing", data, **attributes).replace(own, named)
    event = law.decode(raw[:-1] + b',"rules":%d}' % rules)
    assert isinstance(event, Event), event
    return event


def raised(law: Law = BOTH) -> Session:
    """A session of rules 2."""
    session = Session(law=law)
    session.step(under(2, V2, {"text": "hello"}, law))
    assert session.standing.rules == 2
    return session


def test_events_of_rules_1_are_judged_by_rules_1_until_an_event_of_rules_2_is_accepted() -> None:
    session = Session(law=BOTH)
    assert session.say("LOUD", actor="system:robot") == Accepted(2)
    assert session.standing.rules == 1
    assert session.step(under(2, V2, {"text": "LOUD"})) == Rejected(Reason.LIMIT_EXCEEDED, 2, ("shouting",))
    assert session.standing.rules == 1
    assert session.say("LOUD", actor="system:robot") == Accepted(3)
    assert session.step(under(2, V2, {"text": "quiet"})) == Accepted(4)
    assert session.standing.rules == 2


def test_an_event_of_rules_2_is_judged_by_rules_2_in_a_session_of_rules_1() -> None:
    session = Session(law=BOTH)
    assert session.step(under(2, V2, {"text": "hi"}, actor="system:robot")) == Rejected(Reason.FORBIDDEN, 1)


def test_an_event_of_rules_1_in_a_session_of_rules_2_is_lifted_and_judged_by_rules_2() -> None:
    session = raised()
    assert session.say("LOUD") == Rejected(Reason.LIMIT_EXCEEDED, 2, ("shouting",))
    assert session.say("hi", actor="system:robot") == Rejected(Reason.FORBIDDEN, 2)
    assert session.say("quiet") == Accepted(3)
    assert (session.view.messages, session.standing.rules) == (2, 2)


def test_events_in_a_batch_are_lifted_each() -> None:
    session = raised()
    batch = [inner("run.started", {"run": "r", "agent": "a"}), inner("message.appended", message("LOUD"))]
    assert session.refuse("batch.appended", {"events": batch}) == ("limit_exceeded", "events[1]", "shouting")
    session.accept("batch.appended", {"events": [batch[0], inner("message.appended", message("quiet"))]})
    assert session.view.messages == 2


def test_a_creation_under_rules_2_begins_a_session_of_rules_2() -> None:
    session = Session(created=False, law=BOTH)
    assert session.step(under(2, "everlog.session.created.v1", {"owner": "ada"})) == Accepted(1)
    assert session.standing.rules == 2


def test_steps_follow_one_another_from_book_to_book() -> None:
    old = MessageAppended("user", [Part("text", "hi"), Part("text", "there")])
    two = upcast(old, RULES_2)
    assert two == MessageAppended2("hi there")
    assert upcast(two, RULES_3) == MessageAppended2("hi there!")
    batch = upcast(upcast(BatchAppended((old, old)), RULES_2), RULES_3)
    assert batch == BatchAppended((MessageAppended2("hi there!"),) * 2)
    assert upcast(old, RULES_1) is old


def test_a_session_of_the_third_rules_lifts_events_of_the_first_through_both_steps() -> None:
    session = Session(law=ALL)
    session.step(under(3, "everlog.session.resumed.v1", {}, ALL))
    assert session.standing.rules == 3
    assert session.say("LOUD") == Rejected(Reason.LIMIT_EXCEEDED, 2, ("shouting",))
    assert session.say("quiet") == Accepted(3)


def test_a_law_is_made_of_its_books() -> None:
    made = Law({1: RULES_1, 2: RULES_2})
    event = made.decode(value("message.appended", message()))
    assert isinstance(event, Event)
    assert isinstance(event.payload, MessageAppended)
    session = Session(law=made)
    assert session.step(event) == Accepted(2)
    assert session.step(under(2, V2, {"text": "hi"}, made)) == Accepted(3)
    assert session.say("LOUD") == Rejected(Reason.LIMIT_EXCEEDED, 3, ("shouting",))


def test_a_pattern_of_the_formats_is_anchored_at_the_very_end() -> None:
    assert anchored(r"^a+$") == r"^a+\Z"
    assert anchored(r"$a+") == r"$a+\Z"


def test_each_book_reads_its_own_types_only() -> None:
    raw = value("message.appended", message())
    assert isinstance(BOTH.decode(raw), Event)
    assert isinstance(BOTH.decode(raw[:-1] + b',"rules":2}'), Malformed)
    assert isinstance(ALL.decode(value("session.suspended", {})[:-1] + b',"rules":2}'), Event)
    assert isinstance(ALL.decode(value("session.suspended", {})[:-1] + b',"rules":3}'), Malformed)
    with pytest.raises(AssertionError, match="unknown field"):
        under(2, V2, {"text": "hi", "more": 1})
    with pytest.raises(AssertionError, match="no type"):
        under(1, V2, {"text": "hi"})


def test_each_book_says_what_its_batches_hold() -> None:
    two = under(2, "everlog.batch.appended.v1", {"events": [{"type": V2, "data": {"text": "hi"}}]})
    assert two.payload == BatchAppended((MessageAppended2("hi"),))
    with pytest.raises(AssertionError, match="may not hold"):
        under(2, "everlog.batch.appended.v1", {"events": [inner("message.appended", message())]})
    with pytest.raises(AssertionError, match="may not hold"):
        under(1, "everlog.batch.appended.v1", {"events": [{"type": V2, "data": {"text": "hi"}}]})


def test_what_a_newer_book_adds_is_read_as_strictly() -> None:
    raw = value("org.example.thing", {"tags": {}, "text": "hi"})[:-1] + b',"rules":2}'
    raw = raw.replace(b"org.example.thing", V2.encode())
    fits, too_deep = (
        raw.replace(b'"tags":{}', b'"tags":' + b'{"a":' * more + b"{}" + b"}" * more) for more in (30, 31)
    )
    assert isinstance(BOTH.decode(fits), Event)
    assert isinstance(BOTH.decode(too_deep), Malformed)
    assert isinstance(BOTH.decode(too_deep + b" "), Malformed)


@pytest.mark.parametrize("rules", [2, 3, 2**53 - 1])
def test_an_event_of_rules_that_this_reader_does_not_know_halts_it(rules: int) -> None:
    raw = value("message.appended", message())[:-1] + b',"rules":%d}' % rules
    assert LAW.decode(raw) == UnknownRules(rules)
    for unreadable in (raw.replace(b'"parts"', b'"pieces"'), raw[:-1] + b',"new":1}', raw.replace(b'"ada"', b'"a b"')):
        assert LAW.decode(unreadable) == UnknownRules(rules)
    with pytest.raises(UnknownRulesError) as halted:
        fold_session(KEY, None, records([created(), raw]), Stretch(0, PARTITION, 0))
    assert halted.value.rules == rules
    with pytest.raises(UnknownRulesError, match="offset 1 of partition"):
        replay_session(KEY, records([created(), raw]), 0, PARTITION)


@pytest.mark.parametrize("rules", [b"0", b"-1", b'"2"', b"null", b"1.5", b"[]", b"true"])
def test_rules_that_are_no_number_of_rules_are_malformed(rules: bytes) -> None:
    raw = value("message.appended", message(), id="m-1")[:-1] + b',"rules":%b}' % rules
    assert isinstance(LAW.decode(raw), Malformed)


def test_a_state_of_newer_rules_halts_an_older_reader() -> None:
    session = raised()
    before = session.hash
    session.law = LAW
    with pytest.raises(UnknownRulesError, match="the state of acme/rome-42 is of rules 2"):
        session.say()
    assert session.hash == before


def test_the_rules_number_is_no_part_of_the_state_hash() -> None:
    one, two = Session(law=BOTH), Session(law=BOTH)
    one.say("hi")
    two.step(under(2, V2, {"text": "hi"}))
    assert one.standing.rules != two.standing.rules
    assert one.state is not None
    assert two.state is not None
    assert state_hash(one.state) == state_hash(two.state)
