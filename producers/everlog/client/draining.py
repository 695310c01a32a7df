"""Appends through a spool: into it while the gateway is away, and out of it, in order per session, when it is back.

An event goes straight to the gateway unless one of its session waits already, so none overtakes another. What is
drained carries the id under which it was tried first, so it is appended once even where the first try landed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from time import monotonic
from typing import Final

from everlog.client.answers import PENDING, SPOOLED, Appended, Spooled
from everlog.client.link import Link, growing_pauses, is_passing
from everlog.client.outgoing import Outgoing
from everlog.client.spool import Spool, Waiting
from everlog.schemas.errors import (
    ConfigurationError,
    EverlogError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)

PATIENCE_S: Final = 2.0
"""How long an append tries to reach the gateway before it is spooled: a restart takes longer, a lost packet less."""
HAND_OVER_TIMEOUT_S: Final = 45.0
"""For an event that is drained: the gateway waits up to 30 s for its verdict."""
WITH_VERDICT: Final = {"Prefer": "wait=30"}
FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 15.0
"""Between tries while the gateway is away."""
IDLE_S: Final = 1.0
"""Between looks for what other processes have put in, and for the lock."""
SESSIONS_AT_ONCE: Final = 16
LOOK_PERIOD_S: Final = 0.1

log = logging.getLogger(__name__)


class Drainer:
    """Sends appends, through a spool where they must wait. ``run`` it beside everything else."""

    def __init__(self, spool: Spool, link: Link) -> None:
        self._spool, self._link = spool, link
        self._woken = asyncio.Event()
        self._is_away = False

    async def send(self, outgoing: Outgoing) -> Appended:
        """Hand an event over, or spool it. Raises the error of a rejection; ``UnavailableError`` where the spool is
        full; ``RateLimitedError``, for a gateway that is there is no reason to spool."""
        if self._is_away or await self._spool.holds(outgoing.session):
            return await self._put(outgoing)
        try:
            return await outgoing.send(self._link, PATIENCE_S)
        except RateLimitedError:
            raise
        except UnavailableError as error:
            log.info("The gateway is away, events are spooled: %s", error)
            self._is_away = True
            return await self._put(outgoing)

    async def _put(self, outgoing: Outgoing) -> Spooled:
        await self._spool.put(outgoing)
        self._woken.set()
        return Spooled(outgoing.event_id, SPOOLED, _drainer=self, _outgoing=outgoing)

    async def outcome(self, outgoing: Outgoing, timeout_s: float) -> Appended:
        """What the gateway made of a spooled event: waits until it is out of the spool, then asks with its id again."""
        deadline_s = monotonic() + timeout_s
        while await self._spool.waits(outgoing.event_id):
            if monotonic() >= deadline_s:
                raise UnavailableError("the gateway", f"event {outgoing.event_id} waits in the spool")
            await asyncio.sleep(LOOK_PERIOD_S)
        done = await outgoing.send(self._link)
        return await done.outcome(max(0.0, deadline_s - monotonic()))

    async def run(self) -> None:
        """Drain until cancelled; only look on while another process drains."""
        pause_s = growing_pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        while True:
            if await self._round():
                self._is_away = False
                pause_s = growing_pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
                await self._woken_within(IDLE_S)
            else:
                await asyncio.sleep(pause_s())

    async def _round(self) -> bool:
        """Drain what waits; False where something had to be left."""
        try:
            sessions = await self._spool.sessions()
            if not sessions:
                return True
            if not await self._spool.lock():
                return False
            left = iter(sessions)
            return all(await asyncio.gather(*(self._work(left) for _ in range(SESSIONS_AT_ONCE))))
        except Exception:  # the disk, or whatever gets tokens: neither may end the draining for good
            log.exception("Draining the spool failed, and is tried again")
            return False

    async def _work(self, sessions: Iterator[str]) -> bool:
        """Drain one session after the other; one that must wait holds up nobody else."""
        return all([await self._drain(session) for session in sessions])

    async def _drain(self, session: str) -> bool:
        """Hand over what waits of a session, in order; False where it must go on later."""
        while (waiting := await self._spool.oldest(session)) is not None:
            try:
                await self._hand_over(waiting)
            except (ConfigurationError, UnauthenticatedError, UnavailableError) as error:
                log.info("Session %s goes on being spooled: %s", session, error)
                return False
            except EverlogError as error:
                if is_passing(error):
                    log.warning("Session %s goes on being spooled: %s", session, error)
                    return False
                log.warning("A spooled event of session %s was refused, see %s", session, self._spool.refused_path)
                await self._spool.refuse(waiting, error)
            else:
                await self._spool.remove(waiting)
        return True

    async def _hand_over(self, waiting: Waiting) -> None:
        """Send an event and learn its verdict: what is refused must not be forgotten."""
        outgoing = waiting.outgoing
        asked = Outgoing(outgoing.session, outgoing.body, {**outgoing.headers, **WITH_VERDICT})
        done = await asked.send(self._link, HAND_OVER_TIMEOUT_S)
        self._is_away = False
        if done.result == PENDING:
            await done.outcome()

    async def _woken_within(self, timeout_s: float) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return
