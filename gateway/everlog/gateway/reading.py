"""Reading states: hot, else warm, else from history; and never "not found" from a state that is behind.

A state that must be waited for is asked for again and again, at pauses that grow; the deadline is the caller's.

A parked session is not shown as it stands: ``ParkedError`` names its last good version, which can be asked for. A cold
one, which only waits for its state, is read from history.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, NamedTuple, NoReturn

from everlog.domain.fold import FoldRaisedError
from everlog.domain.record import partition_of
from everlog.domain.state import State
from everlog.domain.stored import StoredSession
from everlog.domain.view import FOLD_VERSION
from everlog.gateway.live import LivePointer, Tiers
from everlog.ports.history import History
from everlog.ports.log import LogIdentity, LogReader
from everlog.schemas.errors import IntegrityError, NotFoundError, ParkedError, UnavailableError
from everlog.schemas.http import Tier
from everlog.schemas.identifiers import split_key

FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 0.25
"""Pauses between looks at a state or watermark that is waited for: a batch of the projector takes tens of ms."""
RETRY_AFTER_S: Final = 1.0
GLANCE_TIMEOUT_S: Final = 0.5
"""For a look that an append can do without."""

log = logging.getLogger(__name__)


class NotYetError(UnavailableError):
    """The state has not reached the version that was asked for; ``actual_version`` is what it has."""

    def __init__(self, wanted: int, actual_version: int) -> None:
        super().__init__(
            "the projection", f"version {wanted} is not there yet, it has {actual_version}", retry_after_s=RETRY_AFTER_S
        )
        self.actual_version = actual_version


class Shown(NamedTuple):
    """A state as it is shown: where it comes from, the fold version of its view, its oldest warm entry.

    ``parked`` says that it is the last good one of a parked session.
    """

    state: State
    tier: Tier
    fold_version: int
    timeline_from: int
    parked: ParkedError | None = None

    @property
    def version(self) -> int:
        """The version that it shows."""
        return self.state.version


class SessionReader:
    """Reads the states of sessions. Every method raises ``UnavailableError``, and ``ParkedError`` of a session that
    has no good state."""

    def __init__(
        self,
        *,
        pointer: LivePointer,
        log_reader: LogReader,
        log_identity: LogIdentity,
        history: History,
        timeout_s: float,
        monotonic_s: Callable[[], float],
    ) -> None:
        self._pointer, self._log, self._identity, self._history = pointer, log_reader, log_identity, history
        self._timeout_s, self._monotonic_s = timeout_s, monotonic_s

    async def current(self, key: str) -> Shown:
        """The state as it stands. Raises ``NotFoundError``, only from a state that has seen all there was, and
        ``ParkedError``."""
        return _going_on(await self.last_good(key))

    async def last_good(self, key: str) -> Shown:
        """The state as it stands, or the last good one of a parked session. Raises ``NotFoundError``."""
        tiers = await self._pointer.tiers()
        shown = await self._look(tiers, key)
        if shown is None:
            await self.settle(tiers, key)
            shown = await self._look_warm(tiers, key)
        if shown is None:
            self._not_found(key)
        return shown

    async def at_least(self, key: str, version: int) -> Shown:
        """The state at this version or a later one, waited for.

        Raises ``NotYetError``, ``NotFoundError``, ``ParkedError``.
        """
        shown = await self.current(key)
        deadline_s, pause_s = self._monotonic_s() + self._timeout_s, FIRST_PAUSE_S
        while shown.version < version:
            tiers = await self._pointer.tiers()
            newer = await self._look_warm(tiers, key) if shown.tier == "hot" else None
            shown = _going_on(newer if newer is not None and newer.version >= shown.version else shown)
            if shown.version >= version:
                break
            if self._monotonic_s() >= deadline_s:
                raise NotYetError(version, shown.version)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            shown = _going_on(await self._look(tiers, key) or shown)
        return shown

    async def at(self, key: str, version: int) -> Shown:
        """The state exactly at a version. Raises ``NotFoundError`` if the session has not reached it, and
        ``ParkedError`` if it may have done so beyond the event that it is parked at."""
        shown = await self.settled(key, version)
        if shown.version == version:
            return shown
        if shown.version < version:
            _going_on(shown)
            raise NotFoundError(f"session {split_key(key)[1]} has no version {version}, it is at {shown.version}")
        state = await self._history.state(key, at_version=version)
        if state is None:
            raise NotFoundError(f"session {split_key(key)[1]} has no version {version}")
        return Shown(state, "cold", FOLD_VERSION, version + 1)

    async def settled(self, key: str, version: int) -> Shown:
        """The last good state; if it is below ``version``, one that has seen all there was.

        Raises ``NotFoundError``.
        """
        shown = await self.last_good(key)
        if shown.version < version:
            tiers = await self._pointer.tiers()
            await self.settle(tiers, key)
            shown = await self._look_warm(tiers, key) or shown
        return shown

    async def settle(self, tiers: Tiers, key: str) -> None:
        """Wait until the warm store has seen what the session's partition held when this was called.

        Raises ``UnavailableError`` when it does not come to that in time.
        """
        partition = partition_of(key.encode(), self._identity.partitions)
        end = (await self._log.bounds(partition)).end
        deadline_s, pause_s = self._monotonic_s() + self._timeout_s, FIRST_PAUSE_S
        while end and (await tiers.warm.watermark(self._identity.era, partition) or 0) < end:
            if self._monotonic_s() >= deadline_s:
                raise UnavailableError("the projection", "it is behind the log", retry_after_s=RETRY_AFTER_S)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def glance(self, key: str) -> StoredSession | None:
        """What hot, or else warm, shows at this moment; None where neither does. Waits for nothing, raises nothing."""
        try:
            async with asyncio.timeout(GLANCE_TIMEOUT_S):
                tiers = await self._pointer.tiers()
                try:
                    stored = await tiers.hot.get(key)
                except UnavailableError:
                    stored = None
                if stored is not None:
                    return stored
                loaded = (await tiers.warm.load([key])).get(key)
        except (UnavailableError, IntegrityError, TimeoutError) as error:
            log.debug("Nothing is seen of a session: %s", error)
            return None
        return loaded.stored if loaded is not None else None

    async def _look(self, tiers: Tiers, key: str) -> Shown | None:
        try:
            stored = await tiers.hot.get(key)
        except UnavailableError as error:
            log.debug("The hot store does not answer, reading warm: %s", error)
            stored = None
        if stored is not None and stored.state is not None and stored.parked is None:  # of a parked one warm knows more
            return self._shown(stored, stored.state, "hot")
        return await self._look_warm(tiers, key)

    async def _look_warm(self, tiers: Tiers, key: str) -> Shown | None:
        try:
            loaded = (await tiers.warm.load([key])).get(key)
        except IntegrityError:
            log.exception("A warm document is damaged; its state is shown from history")
            return await self._from_history(key, 1)
        if loaded is None:
            return None
        stored = loaded.stored
        if stored.state is not None:
            return self._shown(stored, stored.state, "warm")
        if stored.parked is not None and not stored.parked.is_cold:
            raise self._parked(key, stored.parked.offset, stored.parked.reason, 0)
        return await self._from_history(key, stored.timeline_from)

    async def _from_history(self, key: str, timeline_from: int) -> Shown | None:
        parked = None
        try:
            state = await self._history.state(key)
        except FoldRaisedError as error:
            state = await self._history.state(key, until_offset=error.offset)
            parked = self._parked(key, error.offset, error.reason, state.version if state is not None else 0)
            if state is None:
                raise parked from None
        return Shown(state, "cold", FOLD_VERSION, timeline_from, parked) if state is not None else None

    def _shown(self, stored: StoredSession, state: State, tier: Tier) -> Shown:
        parked = stored.parked
        error = self._parked(stored.key, parked.offset, parked.reason, state.version) if parked is not None else None
        return Shown(state, tier, stored.fold_version, stored.timeline_from, error)

    def _parked(self, key: str, offset: int, reason: str, version: int) -> ParkedError:
        partition = partition_of(key.encode(), self._identity.partitions)
        return ParkedError(
            f"session {split_key(key)[1]} is parked at offset {offset} of partition {partition} ({reason}); "
            f"its last good version is {version}",
            version=version,
            reason=reason,
            partition=partition,
            offset=offset,
        )

    def _not_found(self, key: str) -> NoReturn:
        raise NotFoundError(f"there is no session {split_key(key)[1]}")


def _going_on(shown: Shown) -> Shown:
    if shown.parked is not None:
        raise shown.parked
    return shown
