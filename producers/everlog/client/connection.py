"""A connection to Everlog: where sessions are created and found."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import uuid_utils

from everlog.client.answers import appended
from everlog.client.link import Link, http_client
from everlog.client.session import Session
from everlog.schemas.errors import AlreadyExistsError
from everlog.schemas.http import CreateAnswer


class Everlog:
    """A client of one gateway. Use it as an async context manager: ``async with Everlog.connect(...) as log``."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._link = Link(client)

    @classmethod
    def connect(cls, url: str, *, token: str, transport: httpx.AsyncBaseTransport | None = None) -> Everlog:
        """A client of the gateway at ``url``; connects when it is first used.

        ``transport`` replaces the network, as in ``httpx.ASGITransport(app)``.
        """
        return cls(http_client(url, token, transport))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    def session(self, session_id: str) -> Session:
        """A session by its id; no I/O."""
        return Session(self._link, session_id)

    async def create(
        self,
        session_id: str | None = None,
        *,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        state: Mapping[str, Any] | None = None,
        if_exists: Literal["error", "open"] = "error",
    ) -> Session:
        """Create a session that the token's principal owns; without an id it gets one.

        The same creation again is no error. Raises ``AlreadyExistsError`` where the session exists and was created
        otherwise, unless ``if_exists="open"``; ``UnavailableError`` when it is not known in time whether it was.
        """
        given = {"id": session_id, "title": title, "labels": labels, "state": state}
        body = {name: value for name, value in given.items() if value is not None}
        headers = {"Idempotency-Key": str(uuid_utils.uuid7())}
        try:
            answer = await self._link.request("POST", "/v1/sessions", body=body, headers=headers)
            await appended(self._link, answer).outcome()
        except AlreadyExistsError:
            if if_exists == "error" or session_id is None:
                raise
            return self.session(session_id)
        return self.session(CreateAnswer.model_validate_json(answer.content).session)
