"""The token of every request, and a new one when the gateway no longer takes it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable

import httpx

TokenSource = str | Callable[[], str | Awaitable[str]]
"""A token, or a function that gets one: called at first use, and again whenever the last one is refused."""


class Credentials(httpx.Auth):
    """Puts the token into requests; one that is refused (401) is renewed once and the request sent again.

    Many requests that are refused at the same time ask for one new token together. Whatever the function raises comes
    out of the call that needed the token.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._token = source if isinstance(source, str) else None
        self._renewing = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The request with a token, and once more with a new one where there may be one."""
        token = self._token if self._token is not None else await self._renewed(None)
        request.headers["Authorization"] = f"Bearer {token}"
        answer = yield request
        if answer.status_code == httpx.codes.UNAUTHORIZED and not isinstance(self._source, str):
            request.headers["Authorization"] = f"Bearer {await self._renewed(token)}"
            yield request

    async def _renewed(self, refused: str | None) -> str:
        if isinstance(self._source, str):
            return self._source
        async with self._renewing:
            if self._token is None or self._token == refused:
                given = self._source()
                self._token = await given if inspect.isawaitable(given) else given
            return self._token
