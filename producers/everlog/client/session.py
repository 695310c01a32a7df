"""A session as its participants see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Literal

import uuid_utils

from everlog.client.answers import Appended, State, appended
from everlog.client.link import Link
from everlog.client.messages import Appendable, StatePatch, body_of
from everlog.schemas.errors import ConflictError, ForbiddenError, InvalidEventError, RejectedError
from everlog.schemas.http import (
    PAGE_DEFAULT,
    PARTICIPANT_HEADER,
    TIER_HEADER,
    TimelineEvent,
    TimelinePage,
)
from everlog.schemas.identifiers import is_identifier
from everlog.schemas.payloads import ParticipantJoined, ParticipantLeft
from everlog.schemas.payloads.base import ParticipantRole

_WITHOUT_VERDICT: Final = {"Prefer": "respond-async"}


class _Writer:
    """Appends to a session, as somebody."""

    def __init__(self, link: Link, session_id: str, headers: Mapping[str, str]) -> None:
        if not is_identifier(session_id):
            raise InvalidEventError("a session id has 1 to 128 of the characters A-Z a-z 0-9 . _ : @ -")
        self.id = session_id
        self._link, self._headers = link, headers

    async def append(
        self,
        what: Appendable,
        data: Mapping[str, Any] | None = None,
        *,
        expected_version: int | None = None,
        wait: Literal["verdict", "durable"] = "verdict",
        event_id: str | None = None,
    ) -> Appended:
        """Append a typed payload, a type by its name with its data, or a list of payloads as one atomic batch.

        With ``wait="durable"`` it returns as soon as the event is safe on the log, without a version. ``event_id``
        makes a later call with the same id get the first answer. Raises the typed error of a rejection.
        """
        body = body_of(what, data) | {"id": event_id or str(uuid_utils.uuid7())}
        if expected_version is not None:
            body["expected_version"] = expected_version
        headers = {**self._headers, **(_WITHOUT_VERDICT if wait == "durable" else {})}
        return appended(
            self._link, await self._link.request("POST", f"/v1/sessions/{self.id}/events", body=body, headers=headers)
        )

    async def patch(
        self,
        values: Mapping[str, Any],
        *,
        unset: list[str] | None = None,
        expected_keys: Mapping[str, int] | None = None,
    ) -> Appended:
        """Set and remove keys of the state document. Raises ``KeyConflictError``, as ``append`` does."""
        return await self.append(
            StatePatch(set=dict(values), unset=unset or [], expected_keys=dict(expected_keys or {}))
        )


class Participant(_Writer):
    """Somebody who has joined a session, until the context ends."""

    def __init__(self, link: Link, session_id: str, name: str) -> None:
        super().__init__(link, session_id, {PARTICIPANT_HEADER: name})
        self.name = name


class Session(_Writer):
    """A session; ``id`` is its id. Making one does no I/O. Appends as the token's principal."""

    def __init__(self, link: Link, session_id: str) -> None:
        super().__init__(link, session_id, {})

    @asynccontextmanager
    async def join(
        self, participant: str, *, kind: Literal["human", "service"] = "human", role: ParticipantRole = "editor"
    ) -> AsyncIterator[Participant]:
        """Join as a participant, and leave at the end; being there already counts as joined.

        Raises ``ForbiddenError`` for a role above the token's, or a participant of somebody else.
        """
        me = Participant(self._link, self.id, participant)
        joined = {"participant": participant, "kind": kind, "role": role}
        try:
            await me.append(ParticipantJoined.type_name, joined)
        except RejectedError as error:
            if error.reason != "already_open":
                raise
        try:
            yield me
        finally:
            with suppress(ConflictError, ForbiddenError):  # closed meanwhile, or sent away: it has left
                await me.append(ParticipantLeft(participant=participant))

    async def state(self, *, min_version: int | None = None, at_version: int | None = None) -> State:
        """The state: as it stands, at least at a version (waited for), or exactly at one.

        Raises ``NotFoundError``, and ``UnavailableError`` when the version does not come in time.
        """
        query = {"min_version": min_version, "at_version": at_version}
        answer = await self._link.request("GET", f"/v1/sessions/{self.id}", query=query)
        return State.model_validate({**answer.json(), "tier": answer.headers[TIER_HEADER]})

    async def timeline(self, *, after: int = 0, limit: int | None = None) -> AsyncIterator[TimelineEvent]:
        """The accepted events behind a version, oldest first, at most ``limit``; read page by page."""
        left, position = limit, str(after)
        while left is None or left > 0:
            query = {"after": position, "limit": min(PAGE_DEFAULT, left) if left is not None else PAGE_DEFAULT}
            answer = await self._link.request("GET", f"/v1/sessions/{self.id}/events", query=query)
            page = TimelinePage.model_validate_json(answer.content)
            for event in page.events:
                yield event
            if page.next is None:
                return
            left, position = left - len(page.events) if left is not None else None, page.next
