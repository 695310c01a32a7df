"""A session as everybody sees it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, overload

from everlog.client.answers import Appended, State
from everlog.client.following import follow
from everlog.client.participant import LEASE_TTL_S, Membership, Participant
from everlog.client.reading import read_messages, read_state, read_timeline
from everlog.client.writer import Writer
from everlog.schemas.http import DeltaFrame, MessageAnswer, TimelineEvent
from everlog.schemas.payloads import (
    SessionClosed,
    SessionMetadataUpdated,
    SessionReopened,
    SessionResumed,
    SessionSuspended,
)
from everlog.schemas.payloads.base import ParticipantKind, ParticipantRole


class Session(Writer):
    """A session; ``id`` is its id. Making one does no I/O. Appends as the token's principal."""

    def join(
        self,
        participant: str,
        *,
        kind: ParticipantKind = "human",
        role: ParticipantRole = "editor",
        lease_ttl_s: int | None = None,
        lease_wait_s: float = 0.0,
    ) -> AbstractAsyncContextManager[Participant]:
        """Join as a participant, with a lease where ``lease_ttl_s`` is given or ``kind`` is ``agent``; being there
        already counts as joined. Leaves at the end, which frees the lease.

        A lease that another process of this participant holds is an error, ``LeaseHeldError``. One that died holds it
        until it has been silent for its life; ``lease_wait_s`` is how long to wait for that, and taking over fences it.
        Raises ``ForbiddenError`` for a role above the token's, or a participant of somebody else.
        """
        if lease_ttl_s is None and kind == "agent":
            lease_ttl_s = LEASE_TTL_S
        return Membership(self._wire, self.id, participant, kind, role, lease_ttl_s, lease_wait_s=lease_wait_s)

    async def state(self, *, min_version: int | None = None, at_version: int | None = None) -> State:
        """The state: as it stands, at least at a version (waited for), or exactly at one; ``tier`` says where from.

        Raises ``NotFoundError``, and ``UnavailableError`` when the version does not come in time.
        """
        return await read_state(self._wire.link, self.id, min_version=min_version, at_version=at_version)

    def timeline(self, *, after: int = 0, limit: int | None = None) -> AsyncGenerator[TimelineEvent]:
        """The accepted events behind a version, oldest first, at most ``limit``; read page by page."""
        return read_timeline(self._wire.link, self.id, after, limit)

    async def messages(
        self, *, last: int | None = None, view: Literal["model", "raw"] = "model"
    ) -> list[MessageAnswer]:
        """The newest messages, oldest first: as a model should see them, or as they were written (``raw``).

        For a model edits, redactions and summaries are applied, and calls stand with their results; so there may be
        a few more than ``last``. Without ``last`` all of them.
        """
        return await read_messages(self._wire.link, self.id, last, view)

    @overload
    def follow(self, *, after: int | None = None, deltas: Literal[False] = False) -> AsyncGenerator[TimelineEvent]: ...

    @overload
    def follow(
        self, *, after: int | None = None, deltas: Literal[True]
    ) -> AsyncGenerator[TimelineEvent | DeltaFrame]: ...

    def follow(self, *, after: int | None = None, deltas: bool = False) -> AsyncGenerator[Any]:
        """The accepted events behind a version as they come, for ever; without ``after`` those from now on.

        Goes on by itself after a broken connection: without a gap, without a duplicate. With ``deltas`` what runs are
        about to say comes in between; of that some may be missing. Raises ``EverlogError`` for what trying again does
        not mend: no such session, a token that is refused.
        """
        return follow(self._wire.link, self.id, after, deltas)

    async def update_metadata(
        self, *, title: str | None = None, labels: dict[str, str | None] | None = None
    ) -> Appended:
        """Change the title, and labels: those that are named, None removes one.

        To remove the title: ``append("session.metadata_updated", {"title": None})``.
        """
        return await self.append(SessionMetadataUpdated(title=title, labels=labels or {}))

    async def suspend(self, reason: str | None = None) -> Appended:
        """Nobody can write until it is resumed; frees every lease."""
        return await self.append(SessionSuspended(reason=reason))

    async def resume(self) -> Appended:
        """End a suspension."""
        return await self.append(SessionResumed())

    async def close(self, outcome: str | None = None) -> Appended:
        """Nobody can write any more; frees every lease and abandons what is open."""
        return await self.append(SessionClosed(outcome=outcome))

    async def reopen(self) -> Appended:
        """Take back the closing."""
        return await self.append(SessionReopened())
