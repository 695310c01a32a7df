"""Somebody who has joined a session: with a lease, heartbeats, and an end that leaves.

1. Joining; being there already counts as joined.
2. The lease: the version at which it was accepted is the epoch, which every write carries.
3. Heartbeats on a task of their own, three to a lease's life. A heartbeat or a write that is answered "fenced" says
   that the lease is lost: from then on every write raises at once. What runs is not cancelled: it may have other things
   to put in order.
4. Leaving, with the epoch, which frees the lease. It goes the way of the appends, so it never overtakes one.
"""

from __future__ import annotations

import asyncio
import logging
import random
from time import monotonic
from types import TracebackType
from typing import Final

from everlog.client.answers import PENDING, Appended, appended
from everlog.client.link import new_id
from everlog.client.outgoing import Outgoing
from everlog.client.writer import Wire, Writer
from everlog.schemas.errors import (
    ConflictError,
    EverlogError,
    FencedError,
    ForbiddenError,
    LeaseHeldError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from everlog.schemas.http import LEASE_EPOCH_HEADER, PARTICIPANT_HEADER
from everlog.schemas.payloads import ParticipantJoined, ParticipantLeft
from everlog.schemas.payloads.base import ParticipantKind, ParticipantRole

LEASE_TTL_S: Final = 30
"""The usual life of a lease without a heartbeat."""
BEATS: Final = 3
"""Heartbeats in a lease's life: two may be lost."""
JITTER: Final = 0.1
"""Part of the pause between heartbeats that is random, so that a fleet does not beat at once."""
HELD_PAUSE_S: Final = 0.5
"""Between tries for a lease that is held."""

log = logging.getLogger(__name__)


class Participant(Writer):
    """Somebody who has joined a session, until the context ends; writes under its lease.

    ``name`` is the participant, ``epoch`` its lease's, None where it has none. Every write raises ``FencedError`` once
    the lease is lost; the first time the log says so, later without asking.
    """

    def __init__(self, wire: Wire, session_id: str, name: str) -> None:
        super().__init__(wire, session_id)
        self.name = name
        self.epoch: int | None = None
        self._lost = asyncio.Event()

    @property
    def is_fenced(self) -> bool:
        """Whether the lease is known to be lost."""
        return self._lost.is_set()

    async def fenced(self) -> None:
        """Return when the lease is lost."""
        await self._lost.wait()

    def lose(self) -> None:
        """The lease is lost: every write from now on raises ``FencedError`` without asking."""
        self._lost.set()

    @property
    def acts_as(self) -> str | None:
        """This participant."""
        return self.name

    def acting_headers(self) -> dict[str, str]:
        """The participant and its epoch. Raises ``FencedError`` once the lease is lost."""
        if self.is_fenced:
            raise FencedError(
                f"{self.name} has lost its lease of epoch {self.epoch}",
                hint="Another process works in its place, or the session was closed: stop, or join again",
            )
        acting = {PARTICIPANT_HEADER: self.name}
        return acting if self.epoch is None else {**acting, LEASE_EPOCH_HEADER: str(self.epoch)}


class Membership:
    """The context of a participant: joins, takes the lease, keeps it, leaves."""

    def __init__(
        self,
        wire: Wire,
        session_id: str,
        name: str,
        kind: ParticipantKind,
        role: ParticipantRole,
        lease_ttl_s: int | None,
        *,
        lease_wait_s: float,
    ) -> None:
        self._me = Participant(wire, session_id, name)
        self._link = wire.link
        self._kind, self._role = kind, role
        self._lease_ttl_s, self._lease_wait_s = lease_ttl_s, lease_wait_s
        self._beating: asyncio.Task[None] | None = None
        self._path = f"/v1/sessions/{session_id}/participants"

    async def __aenter__(self) -> Participant:
        has_joined = await self._join()
        if self._lease_ttl_s is not None:
            try:
                self._me.epoch = await self._acquire(self._lease_ttl_s)
            except BaseException:
                if has_joined:
                    await self._leave(is_failing=True)
                raise
            self._beating = asyncio.create_task(self._beat(self._lease_ttl_s))
        return self._me

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._leave(is_failing=error is not None)
        finally:
            if self._beating is not None:
                self._beating.cancel()
                await asyncio.gather(self._beating, return_exceptions=True)

    async def _join(self) -> bool:
        """Whether it was not there before."""
        data = {"participant": self._me.name, "kind": self._kind, "role": self._role}
        body = {"type": ParticipantJoined.type_name, "data": data, "id": new_id()}
        try:
            # Not through a spool: whether one may join must be known before anything is said.
            await _judged(await Outgoing(self._me.id, body, self._me.acting_headers()).send(self._link))
        except RejectedError as error:
            if error.reason != "already_open":
                raise
            return False
        return True

    async def _acquire(self, ttl_s: int) -> int:
        """The epoch of a new lease."""
        deadline_s = monotonic() + self._lease_wait_s
        headers = {PARTICIPANT_HEADER: self._me.name}
        while True:
            try:
                path = f"{self._path}/{self._me.name}/lease"
                answer = await self._link.request("PUT", path, body={"ttl_s": ttl_s}, headers=headers)
                done = await _judged(appended(self._link, answer))
            except LeaseHeldError:
                if monotonic() >= deadline_s:
                    raise
                await asyncio.sleep(HELD_PAUSE_S)
            else:
                if done.version is None:
                    raise UnavailableError("the gateway", "it gave a lease without an epoch")
                return done.version

    async def _leave(self, *, is_failing: bool) -> None:
        try:
            await self._me.append(ParticipantLeft(participant=self._me.name))
        except (ConflictError, ForbiddenError, NotFoundError):
            return  # fenced, closed or erased meanwhile, or sent away: it has left
        except UnavailableError as error:
            if not is_failing:
                raise
            log.warning("%s could not leave session %s: %s", self._me.name, self._me.id, error)

    async def _beat(self, ttl_s: int) -> None:
        """Keep the lease until it is lost."""
        period_s = ttl_s / BEATS
        while not self._me.is_fenced:
            await asyncio.sleep(period_s * (1 - JITTER * random.random()))  # noqa: S311 (spreads load)
            try:
                await self._heartbeat(period_s)
            except (ConflictError, ForbiddenError, NotFoundError) as error:
                log.warning("%s has lost its lease in session %s: %s", self._me.name, self._me.id, error)
                self._me.lose()
            except EverlogError as error:
                log.info("A heartbeat of %s in session %s failed: %s", self._me.name, self._me.id, error)
            except Exception:  # whatever gets tokens must not end the heartbeats
                log.exception("A heartbeat of %s in session %s failed", self._me.name, self._me.id)

    async def _heartbeat(self, timeout_s: float) -> None:
        headers = {PARTICIPANT_HEADER: self._me.name, LEASE_EPOCH_HEADER: str(self._me.epoch)}
        path = f"{self._path}/{self._me.name}/lease/heartbeat"
        await self._link.request("POST", path, headers=headers, timeout_s=timeout_s)


async def _judged(done: Appended) -> Appended:
    return await done.outcome() if done.result == PENDING else done
