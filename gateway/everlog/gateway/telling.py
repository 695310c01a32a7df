"""Telling deltas: who may, and to whom. How often is bounded as all requests of a principal are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from everlog.gateway.identity import Identity
from everlog.gateway.reading import SessionReader
from everlog.ports.deltas import Delta, Deltas
from everlog.schemas.errors import ForbiddenError
from everlog.schemas.http import DeltaFrame

TRUSTED_S: Final = 5.0
"""For so long somebody who may write to a session is not looked up again: a delta is worth less than a look."""
TRUSTED_MAX: Final = 16_384
"""Writers that are remembered: some 4 MiB."""


class Telling:
    """Publishes deltas of those who may write to a session."""

    def __init__(self, reader: SessionReader, deltas: Deltas, monotonic_s: Callable[[], float]) -> None:
        self._reader, self._deltas, self._monotonic_s = reader, deltas, monotonic_s
        self._trusted: OrderedDict[tuple[Identity, str, str | None], tuple[str, float]] = OrderedDict()

    async def authorised(self, identity: Identity, key: str, participant: str | None) -> str:
        """Who tells: the principal, or a participant of its own.

        Raises ``ForbiddenError``, and what ``SessionReader.last_good`` does.
        """
        asked = identity, key, participant
        actor, until_s = self._trusted.get(asked, ("", 0.0))
        if self._monotonic_s() < until_s:
            return actor
        actor = await self._looked_up(identity, key, participant)
        self._trusted[asked] = actor, self._monotonic_s() + TRUSTED_S
        self._trusted.move_to_end(asked)
        if len(self._trusted) > TRUSTED_MAX:
            self._trusted.popitem(last=False)
        return actor

    async def tell(self, key: str, frame: DeltaFrame) -> None:
        """To every gateway that somebody follows the session at. Raises ``UnavailableError``."""
        await self._deltas.publish(Delta(key, frame.model_dump_json().encode()))

    async def _looked_up(self, identity: Identity, key: str, participant: str | None) -> str:
        standing = (await self._reader.last_good(key)).state.standing
        actor = participant or identity.principal
        entry = standing.roster.get(actor)
        if participant is not None and (entry is None or entry.principal != identity.principal):
            raise ForbiddenError(f"{participant} is not a participant of {identity.principal}")
        if not standing.may_write(actor):
            raise ForbiddenError(f"{actor} may not write to the session")
        return actor
