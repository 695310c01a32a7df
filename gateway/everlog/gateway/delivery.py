"""Bringing an event to the log, once, and its verdict back.

1. The event is encoded and checked. What is wrong with its form is said now.
2. The session's version is noted: an event that is looked up later lies behind it.
3. A caller's own key is recorded, with what was asked for. If it was known already, this is a retry: the first answer
   is given again where it can be found; else the event is handed over again and says so, and the log decides.
4. What is certain whatever the log holds is answered (``early``). All errors up to here say that nothing was done.
5. The record is handed over. ``UnavailableError`` says that nothing was; any other end means that it may land.
6. The verdict is waited for until the deadline; without one the outcome is pending, which is no error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from everlog.domain.encoding import Encoded, encoded
from everlog.domain.record import Headers, Position
from everlog.domain.verdicts import Accepted, Duplicate, Rejected, Verdict, unpack
from everlog.gateway.early import early_verdict, has_conditions
from everlog.gateway.fairness import Turns
from everlog.gateway.keyed import FirstTries, OwnKey, request_digest
from everlog.gateway.known import KnownSessions
from everlog.gateway.outcomes import OutcomeFinder, is_about_earlier
from everlog.gateway.reading import FIRST_PAUSE_S, LONGEST_PAUSE_S
from everlog.gateway.verdicts import OutcomeWaiter
from everlog.ports.idempotency import FirstTry
from everlog.ports.log import EVENT_HEADERS, Appender
from everlog.schemas.errors import (
    IdempotencyKeyReusedError,
    InvalidEventError,
    NotFoundError,
    ParkedError,
    UnavailableError,
    UnknownOutcomeError,
)
from everlog.schemas.events import Event, check_data

log = logging.getLogger(__name__)


class Judged(NamedTuple):
    """What came of an event; no verdict: not known yet. ``known_version`` was the session's before it."""

    key: str
    event_id: str
    verdict: Verdict | None
    position: Position | None
    known_version: int


class Order(NamedTuple):
    """An event to be appended. ``own_key`` is its caller's; ``asked`` the event as it was asked for, where the door has
    filled in something that may be another at the next try."""

    event: Event
    own_key: OwnKey | None = None
    asked: Event | None = None
    headers: Headers = ()


class Delivery:
    """Appends events, and tells what came of them."""

    def __init__(
        self,
        *,
        appender: Appender,
        known: KnownSessions,
        finder: OutcomeFinder,
        waiter: OutcomeWaiter,
        first_tries: FirstTries,
        turns: Turns,
        acknowledge_timeout_s: float,
        monotonic_s: Callable[[], float],
    ) -> None:
        """``turns`` bounds the appends to one session that are under way."""
        self._appender, self._known, self._finder, self._waiter = appender, known, finder, waiter
        self._first_tries, self._turns = first_tries, turns
        self._acknowledge_timeout_s, self._monotonic_s = acknowledge_timeout_s, monotonic_s
        self._in_flight: set[asyncio.Task[Position | None]] = set()

    async def deliver(self, order: Order, wait_s: float) -> Judged:
        """Append an event and wait so long for its verdict (0: only for the acknowledgement).

        Raises ``InvalidEventError``, ``LimitExceededError``, ``IdempotencyKeyReusedError``, ``RateLimitedError``,
        ``UnavailableError``: each before anything was handed over.
        """
        checked = _checked(order.event)
        key = checked.event.key
        deadline_s = self._monotonic_s() + wait_s
        with self._turns.one_of(key):
            seen = await self._known.see(key, closely=has_conditions(checked.event))
            first = await self._first_try(order, checked, seen.version)
            if first is not None:
                return await self._again(order, first, deadline_s)
            early = early_verdict(seen.standing, checked.event) if seen.standing is not None else None
            if early is not None:
                return Judged(key, order.event.id, early, None, seen.version)
            return await self._hand_over(order, checked, seen.version, deadline_s)

    async def _first_try(self, order: Order, checked: Encoded, version: int) -> FirstTry | None:
        """The first try of which this is a retry. Raises ``IdempotencyKeyReusedError``."""
        if order.own_key is None:
            return None
        asked = order.event if order.asked is None else order.asked
        digest = request_digest(checked.event if order.asked is None else _checked(asked).event, asked)
        first = await self._first_tries.record(order.own_key.whole, order.event.id, digest, version)
        if first is not None and first.digest != digest:
            raise IdempotencyKeyReusedError(
                "this idempotency key was used with another request", hint="Use a new key for a new request"
            )
        return first

    async def _again(self, order: Order, first: FirstTry, deadline_s: float) -> Judged:
        """A retry: what came of the first try, else the event again, which says that it is a retry."""
        key, event_id = f"{order.event.tenantid}/{order.event.subject}", order.event.id
        found = await self._recent(key, event_id)
        if found is not None and not is_about_earlier(found):
            return Judged(key, event_id, Duplicate(found), None, first.seen_version)
        event = order.event.model_copy(update={"retry": True, "seenversion": first.seen_version})
        checked = _checked(event)
        seen = await self._known.see(key, closely=True)
        early = early_verdict(seen.standing, checked.event) if seen.standing is not None else None
        if early is not None:
            judged = Judged(key, event_id, early, None, first.seen_version)
        else:
            judged = await self._hand_over(order, checked, first.seen_version, deadline_s)
        if judged.verdict is None or not is_about_earlier(judged.verdict):
            return judged
        accepted = await self._in_timeline(key, event_id, first.seen_version)
        return judged._replace(verdict=Duplicate(accepted), position=None) if accepted is not None else judged

    async def _recent(self, key: str, event_id: str) -> Accepted | Rejected | None:
        try:
            return await self._finder.recent(key, event_id)
        except UnavailableError as error:
            log.debug("The first answer cannot be looked up, the log tells it: %s", error)
            return None

    async def _in_timeline(self, key: str, event_id: str, after: int) -> Accepted | None:
        try:
            return await self._finder.in_timeline(key, event_id, after)
        except (UnavailableError, NotFoundError, ParkedError) as error:
            log.debug("The first try cannot be looked for: %s", error)
            return None

    async def _hand_over(self, order: Order, checked: Encoded, version: int, deadline_s: float) -> Judged:
        key, event_id = checked.event.key, checked.event.id
        task = asyncio.create_task(self._appender.append(key, checked.value, (*EVENT_HEADERS, *order.headers)))
        self._in_flight.add(task)
        task.add_done_callback(self._landed)
        left_s = deadline_s - self._monotonic_s()
        done, _ = await asyncio.wait({task}, timeout=max(left_s, self._acknowledge_timeout_s))
        try:
            position = task.result() if done else None
        except UnknownOutcomeError:
            position = None
        verdict = await self._verdict(key, event_id, position, deadline_s - self._monotonic_s())
        if isinstance(verdict, Accepted):
            self._known.note(key, verdict.version)
        return Judged(key, event_id, verdict, position, version)

    async def _verdict(self, key: str, event_id: str, position: Position | None, wait_s: float) -> Verdict | None:
        """The verdict with its details, waited for; None when it is not known in time."""
        if wait_s <= 0:
            return None
        try:
            if position is None:
                verdict: Verdict | None = await self._by_id(key, event_id, wait_s)
            else:
                packed = await self._waiter.wait(position, wait_s)
                verdict = unpack(packed) if packed is not None else None
        except UnavailableError:
            return None
        match verdict:
            case Rejected() | Duplicate(Rejected()):
                return await self._detailed(key, event_id, verdict)
        return verdict

    async def _by_id(self, key: str, event_id: str, wait_s: float) -> Accepted | Rejected | None:
        """Of a record that was acknowledged without a position."""
        deadline_s, pause_s = self._monotonic_s() + wait_s, FIRST_PAUSE_S
        while True:
            found = await self._finder.recent(key, event_id)
            if found is not None or self._monotonic_s() >= deadline_s:
                return found
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _detailed(self, key: str, event_id: str, verdict: Rejected | Duplicate) -> Verdict:
        first = verdict.first if isinstance(verdict, Duplicate) else verdict
        if isinstance(first, Accepted):
            return verdict
        try:
            first = Rejected(first.reason, first.version, await self._finder.detail(key, event_id, first))
        except UnavailableError:
            return verdict
        return Duplicate(first) if isinstance(verdict, Duplicate) else first

    def _landed(self, task: asyncio.Task[Position | None]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("An append ended with %s", type(error).__name__)


def _checked(event: Event) -> Encoded:
    try:
        return encoded(event)
    except InvalidEventError:
        check_data(event.type, event.data)  # names each wrong field, where the decoder stops at the first
        raise
