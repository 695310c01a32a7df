"""Appending to a session, as somebody."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from everlog.client.answers import Appended
from everlog.client.link import Link, new_id
from everlog.client.messages import Appendable, StatePatch, body_of
from everlog.client.outgoing import WITHOUT_VERDICT, Outgoing
from everlog.client.reading import read_state
from everlog.client.rebasing import ATTEMPTS_MAX, Attempt, Updated, rebase, update_key
from everlog.client.runs import Run
from everlog.schemas.errors import FencedError, InvalidEventError
from everlog.schemas.identifiers import is_identifier
from everlog.schemas.payloads import InterruptResolved
from everlog.schemas.payloads.interrupt import InterruptStatus

if TYPE_CHECKING:
    from everlog.client.draining import Drainer


class Wire:
    """The way to the gateway: directly, or through a spool."""

    def __init__(self, link: Link, drainer: Drainer | None = None) -> None:
        self.link, self._drainer = link, drainer

    async def send(self, outgoing: Outgoing) -> Appended:
        """Hand an event over, or spool it."""
        if self._drainer is not None:
            return await self._drainer.send(outgoing)
        return await outgoing.send(self.link)


def checked_id(session_id: str) -> str:
    """A session id that may stand in an address. Raises ``InvalidEventError``."""
    if not is_identifier(session_id):
        raise InvalidEventError("a session id has 1 to 128 of the characters A-Z a-z 0-9 . _ : @ -")
    return session_id


class Writer:
    """Appends to a session, as somebody; ``id`` is the session's."""

    def __init__(self, wire: Wire, session_id: str) -> None:
        self.id = checked_id(session_id)
        self._wire = wire

    @property
    def acts_as(self) -> str | None:
        """The participant that acts; None: the token's principal."""
        return None

    def acting_headers(self) -> dict[str, str]:
        """What tells the gateway who acts. Raises ``FencedError`` where that is known to be in vain."""
        return {}

    def lose(self) -> None:
        """The log says that whoever acts is fenced. A principal has nothing to lose."""

    async def append(
        self,
        what: Appendable,
        data: Mapping[str, Any] | None = None,
        *,
        expected_version: int | None = None,
        wait: Literal["verdict", "durable"] = "verdict",
        event_id: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
    ) -> Appended:
        """Append a typed payload, a type by its name with its data, or a list of payloads as one atomic batch.

        With ``wait="durable"`` it returns as soon as the event is safe on the log, without a version. ``event_id``
        makes a later call with the same id get the first answer. ``correlation_id`` names a run or turn,
        ``causation_id`` the event that caused this one.

        Raises the typed error of a rejection; ``UnavailableError`` when the gateway is away for the whole call, as
        ``UnknownOutcomeError`` where the event may have landed: the same call with the same ``event_id`` tells. With a
        spool an event that meets an absent gateway comes back as ``Spooled`` instead.
        """
        named = {
            "id": event_id or new_id(),
            "expected_version": expected_version,
            "correlation_id": correlation_id,
            "causation_id": causation_id,
        }
        body = body_of(what, data) | {name: value for name, value in named.items() if value is not None}
        headers = {**self.acting_headers(), **(WITHOUT_VERDICT if wait == "durable" else {})}
        try:
            return await self._wire.send(Outgoing(self.id, body, headers))
        except FencedError:
            self.lose()
            raise

    async def patch(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        unset: list[str] | None = None,
        expected_keys: Mapping[str, int] | None = None,
        expected_version: int | None = None,
    ) -> Appended:
        """Set and remove keys of the state document.

        ``expected_keys`` names the versions that keys must have, 0 = absent. Raises ``KeyConflictError``, as ``append``
        does.
        """
        changed = StatePatch(set=dict(values or {}), unset=unset or [], expected_keys=dict(expected_keys or {}))
        return await self.append(changed, expected_version=expected_version)

    async def resolve(self, interrupt: str, payload: Any = None, *, status: InterruptStatus = "resolved") -> Appended:
        """Answer an interrupt, or say that nobody needs an answer (``status="cancelled"``).

        Raises ``UnknownReferenceError`` where it is not pending (any more).
        """
        return await self.append(InterruptResolved(interrupt=interrupt, status=status, payload=payload))

    async def update(self, key: str, function: Callable[[Any], Any], *, attempts: int = ATTEMPTS_MAX) -> Updated:
        """Set a key to ``function`` of its value (None where it is absent), as if nobody else wrote meanwhile.

        Where somebody did, it is read again and ``function`` called again, so it must have no side effects. Raises
        the last ``KeyConflictError`` after so many attempts.
        """
        return await update_key(self, self._wire.link, key, function, attempts)

    def run(self, agent: str, *, run_id: str | None = None, parent_run: str | None = None) -> Run:
        """A piece of work: a context that starts it, and ends it as completed, failed or canceled."""
        return Run(self, self._wire.link, agent, run_id, parent_run)

    def rebasing(self, *, attempts: int = ATTEMPTS_MAX) -> AsyncGenerator[Attempt]:
        """Attempts at a change of what was read: ``async for attempt in me.rebasing(): async with attempt as state:``.

        A ``VersionConflictError`` or ``KeyConflictError`` in the body leads to another attempt, on a newer state,
        after a random pause that grows; the last attempt's is raised.
        """
        return rebase(lambda version: read_state(self._wire.link, self.id, min_version=version), attempts)
