"""What the SDK gives back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Final

import httpx

from everlog.client.link import Link
from everlog.client.problems import error_named
from everlog.schemas.errors import NotFoundError, UnavailableError
from everlog.schemas.http import AppendAnswer, PositionAnswer, StateAnswer, Tier

if TYPE_CHECKING:
    from everlog.client.draining import Drainer
    from everlog.client.outgoing import Outgoing

OUTCOME_TIMEOUT_S: Final = 30.0
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
PENDING: Final = "pending"
SPOOLED: Final = "spooled"


class State(StateAnswer):
    """The state of a session at a version, and the tier that it was read from."""

    tier: Tier


@dataclass(frozen=True, slots=True)
class Appended:
    """An event that was handed over.

    ``result`` is ``accepted`` or ``duplicate``, or ``pending`` as long as the verdict is not known; ``version`` is
    None then, and ``outcome`` waits for it. A duplicate has the version of the first.
    """

    event_id: str
    result: str
    version: int | None = None
    position: PositionAnswer | None = None
    _link: Link | None = field(default=None, repr=False, compare=False)
    _location: str | None = field(default=None, repr=False, compare=False)

    @property
    def is_acknowledged(self) -> bool:
        """Whether the event has left this machine; what is only spooled has not."""
        return True

    async def outcome(self, timeout_s: float = OUTCOME_TIMEOUT_S) -> Appended:
        """This event with its verdict, waited for.

        Raises the error of a rejection, and ``UnavailableError`` when it is not known in time.
        """
        deadline_s, pause_s = monotonic() + timeout_s, FIRST_PAUSE_S
        found = self
        while found.result == PENDING:
            found = await found._look()
            if found.result == PENDING:
                if monotonic() >= deadline_s:
                    raise UnavailableError("the verdict", f"event {self.event_id} is not judged yet")
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return found

    async def _look(self) -> Appended:
        if self._link is None or self._location is None:
            raise UnavailableError("the verdict", "the gateway did not say where it will be")
        try:
            answer = await self._link.request("GET", self._location)
        except NotFoundError:
            return self
        told = AppendAnswer.model_validate_json(answer.content)
        if told.outcome not in (PENDING, "accepted", "duplicate"):
            detail = f"the log rejected the event: {told.outcome}"
            extras = {"actual_version": told.actual_version, "keys": told.keys}
            raise error_named(told.outcome.replace("_", "-"), detail, told.keys or [], extras)
        return replace(self, result=told.outcome, version=told.version)


@dataclass(frozen=True, slots=True)
class Spooled(Appended):
    """An event that is safe on this machine's disk, because the gateway was away. **It is not acknowledged**: it will
    be handed over when the gateway is back, and may be refused then.

    ``outcome`` waits for that.
    """

    _drainer: Drainer | None = field(default=None, repr=False, compare=False)
    _outgoing: Outgoing | None = field(default=None, repr=False, compare=False)

    @property
    def is_acknowledged(self) -> bool:
        """It is not."""
        return False

    async def outcome(self, timeout_s: float = OUTCOME_TIMEOUT_S) -> Appended:
        """The event as the gateway took it, waited for. Raises as ``Appended.outcome`` does."""
        if self._drainer is None or self._outgoing is None:
            raise UnavailableError("the spool", "this event was not spooled here")
        return await self._drainer.outcome(self._outgoing, timeout_s)


def appended(link: Link, answer: httpx.Response) -> Appended:
    """What an append was answered."""
    told = AppendAnswer.model_validate_json(answer.content)
    location = answer.headers.get("location") if answer.status_code == httpx.codes.ACCEPTED else None
    return Appended(told.event_id, told.outcome, told.version, told.position, link, location)
