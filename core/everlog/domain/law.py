"""The law under all rules that some code knows: decode, judge, fold.

An event is decoded under its own rules, and judged and evolved under the higher of them and its session's: a payload of
older rules is lifted by the upcast steps of each book in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from everlog.domain.decoding import Decoder
from everlog.domain.event import Event, Payload
from everlog.domain.registry import RULES, RuleBook
from everlog.domain.standing import Standing
from everlog.domain.state import State, evolve
from everlog.domain.types.batch import BatchAppended
from everlog.domain.verdicts import WITHOUT_SLOT, Accepted, Rejected, Verdict
from everlog.schemas.errors import IntegrityError


class UnknownRulesError(IntegrityError):
    """An event or a state is of rules that this code does not know: the partition must halt."""

    exit_code = 4

    def __init__(self, what: str, rules: int) -> None:
        super().__init__(f"{what} is of rules {rules}, which this reader does not know", hint="Upgrade this service")
        self.rules = rules


class Law:
    """Decodes and folds under the rules of some books."""

    def __init__(self, books: Mapping[int, RuleBook]) -> None:
        self._books = books
        self._newest = max(books)
        self.decode = Decoder(books).decode

    def step(self, state: State | None, event: Event) -> tuple[State | None, Verdict]:
        """Judge an event and fold it: the state that follows (the same object, changed), and the verdict.

        Raises ``UnknownRulesError`` for a state of newer rules.
        """
        rules = event.rules
        if state is not None and state.standing.rules > rules:
            rules = state.standing.rules
            event = self._lifted(event, rules)
        verdict = self._books[rules].decide(state.standing if state is not None else None, event)
        if isinstance(verdict, Accepted):
            state = evolve(state, event, verdict.version)
        elif state is None or not isinstance(verdict, Rejected) or verdict.reason in WITHOUT_SLOT:
            return state, verdict
        if state.standing.status != "erased":
            state.standing.ring.remember(event.id_hash, event.content_hash, verdict)
        return state, verdict

    def judge(self, standing: Standing | None, event: Event) -> Verdict:
        """The verdict on an event that would come next; changes nothing. Raises ``UnknownRulesError``."""
        rules = event.rules if standing is None else max(event.rules, standing.rules)
        lifted = self._lifted(event, rules)
        return self._books[rules].decide(standing, lifted)

    def _lifted(self, event: Event, rules: int) -> Event:
        if rules > self._newest:
            raise UnknownRulesError(f"the state of {event.key}", rules)
        payload = event.payload
        for number in range(event.rules + 1, rules + 1):
            payload = upcast(payload, self._books[number])
        return msgspec.structs.replace(event, payload=payload)


def upcast(payload: Payload, book: RuleBook) -> Payload:
    """The payload that takes the place of an older one under a book; most stay as they are."""
    if isinstance(payload, BatchAppended):
        return BatchAppended(tuple(upcast(inner, book) for inner in payload.events))
    lift = book.upcasts.get(type(payload))
    return lift(payload) if lift is not None else payload


LAW: Final = Law(RULES)
"""The law of this code."""
