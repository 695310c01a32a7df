"""Changing what was read, again and again until nobody came in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from everlog.client.answers import PENDING, Appended, State
from everlog.client.link import Link, growing_pauses
from everlog.client.reading import read_state
from everlog.schemas.errors import KeyConflictError, VersionConflictError

if TYPE_CHECKING:
    from everlog.client.writer import Writer

ATTEMPTS_MAX: Final = 20
"""Fifty writers of one key took 12 at most (measured, with these pauses); beyond, trying again does not mend it."""
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0

Conflict = VersionConflictError | KeyConflictError
Read = Callable[[int | None], Awaitable[State]]
"""Reads the state, at least at a version."""


@dataclass(frozen=True, slots=True)
class Updated:
    """A key that was changed: its new value, the event, and how many attempts it took."""

    value: Any
    appended: Appended
    attempts: int


class Attempt:
    """One attempt: a context that gives the state to start from, and takes the conflict that ends it."""

    def __init__(self, number: int, state: State, *, is_last: bool) -> None:
        self.number = number
        """1 at first."""
        self.conflict: Conflict | None = None
        """What ended it; None as long as nothing did."""
        self._state, self._is_last = state, is_last

    async def __aenter__(self) -> State:
        return self._state

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, VersionConflictError | KeyConflictError):
            self.conflict = error
            return not self._is_last
        return False


async def rebase(read: Read, attempts: int) -> AsyncGenerator[Attempt]:
    """Attempts until one ends without a conflict, at most so many."""
    pause_s, version = growing_pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S), None
    for number in range(1, attempts + 1):
        attempt = Attempt(number, await read(version), is_last=number == attempts)
        yield attempt
        if attempt.conflict is None:
            return
        version = attempt.conflict.actual_version or None
        await asyncio.sleep(pause_s())


async def update_key(writer: Writer, link: Link, key: str, function: Callable[[Any], Any], attempts: int) -> Updated:
    """See ``Writer.update``."""
    async for attempt in rebase(lambda version: read_state(link, writer.id, min_version=version), attempts):
        async with attempt as state:
            value = function(state.state.get(key))
            done = await writer.patch({key: value}, expected_keys={key: state.key_versions.get(key, 0)})
            if done.result == PENDING:
                done = await done.outcome()
            return Updated(value, done, attempt.number)
    raise ValueError("there must be at least one attempt")
