"""What the SDK gives back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final

import httpx

from everlog.client.link import Link
from everlog.client.problems import error_named
from everlog.schemas.errors import NotFoundError, UnavailableError
from everlog.schemas.http import AppendAnswer, PositionAnswer, StateAnswer, Tier

OUTCOME_TIMEOUT_S: Final = 30.0
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
PENDING: Final = "pending"


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
    version: int | None
    position: PositionAnswer | None
    _link: Link = field(repr=False, compare=False)
    _location: str | None = field(default=None, repr=False, compare=False)

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
        if self._location is None:
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


def appended(link: Link, answer: httpx.Response) -> Appended:
    """What an append was answered."""
    told = AppendAnswer.model_validate_json(answer.content)
    location = answer.headers.get("location") if answer.status_code == 202 else None
    return Appended(told.event_id, told.outcome, told.version, told.position, link, location)
