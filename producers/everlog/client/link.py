"""Requests to the gateway: the same request again where that is safe, typed errors otherwise.

Every request may be repeated: reads change nothing, and every write carries an id of its own (the event's, or an
``Idempotency-Key``), so that a repetition gets the first answer. One deadline holds for a call with all its attempts
and the pauses between them; a pause that the gateway asks for (``Retry-After``) is kept, and one that would pass the
deadline ends the call at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import stamina
import uuid_utils

from everlog.client.credentials import Credentials, TokenSource
from everlog.client.problems import GATEWAY, error_of
from everlog.schemas.errors import EverlogError, UnavailableError, UnknownOutcomeError

CALL_TIMEOUT_S: Final = 30.0
"""A whole call: longer than a restart of the gateway or a failover of Kafka, shorter than a person's patience."""
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 5.0
CONNECTIONS: Final = 100
"""Of one client at most; more requests wait for one that is free."""
SILENCE_S: Final = 45.0
"""A stream that says nothing for so long is dead: the gateway sends a sign of life every 15 s."""
READING: Final = frozenset({"GET", "HEAD"})
_NOTHING_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_IN_DOUBT: Final = frozenset({502, 504})
"""Statuses of proxies that may have passed the request on."""


class Link:
    """An HTTP client of one gateway."""

    def __init__(self, client: httpx.AsyncClient, call_timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._client, self._call_timeout_s = client, call_timeout_s

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Response:
        """The answer, of a status below 400, within ``timeout_s`` (default: the connection's).

        Raises ``EverlogError``: ``UnavailableError`` when time is up, ``UnknownOutcomeError`` among them for a write
        that may have been done.
        """
        given = {name: value for name, value in (query or {}).items() if value is not None}
        sent = dict(headers or {})
        if method not in READING and not (path.endswith("/events") and "id" in body):
            sent.setdefault("Idempotency-Key", new_id())
        request = self._client.build_request(method, path, json=body, params=given, headers=sent)
        call = _Call(self._client, request, self._call_timeout_s if timeout_s is None else timeout_s)
        return await call.answer()

    @asynccontextmanager
    async def stream(self, path: str, query: Mapping[str, Any], headers: Mapping[str, str]) -> AsyncIterator[Any]:
        """The lines of an answer that goes on; one attempt. Raises ``EverlogError``."""
        timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_TIMEOUT_S)
        try:
            async with self._client.stream("GET", path, params=query, headers=headers, timeout=timeout) as answer:
                if answer.status_code >= 400:
                    await answer.aread()
                    raise error_of(answer)
                yield answer.aiter_lines()
        except httpx.TransportError as error:
            raise UnavailableError(GATEWAY, str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _Call:
    """One call: a request, its attempts, and what is known of them."""

    def __init__(self, client: httpx.AsyncClient, request: httpx.Request, timeout_s: float) -> None:
        self._client, self._request, self._timeout_s = client, request, timeout_s
        self._deadline_s = asyncio.get_running_loop().time() + timeout_s
        self._last: UnavailableError | None = None
        self._is_in_doubt = False
        self._is_writing = request.method not in READING

    async def answer(self) -> httpx.Response:
        """The answer of the last attempt."""
        try:
            async with asyncio.timeout_at(self._deadline_s):
                return await self._attempts()
        except TimeoutError as error:
            raise self._final(UnavailableError(GATEWAY, f"no answer within {self._timeout_s:g} s")) from error
        except UnavailableError as error:
            if (final := self._final(error)) is not error:
                raise final from error
            raise

    async def _attempts(self) -> httpx.Response:
        async for attempt in stamina.retry_context(
            on=self._pause,
            attempts=None,
            timeout=None,  # the deadline above holds
            wait_initial=FIRST_PAUSE_S,
            wait_max=LONGEST_PAUSE_S,
            wait_jitter=FIRST_PAUSE_S,
        ):
            with attempt:
                return await self._once()
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(self) -> httpx.Response:
        try:
            answer = await self._client.send(self._request)
        except httpx.TransportError as error:
            self._is_in_doubt |= self._is_writing and not isinstance(error, _NOTHING_SENT)
            raise UnavailableError(GATEWAY, str(error) or type(error).__name__) from error
        except asyncio.CancelledError:  # time is up while it was under way
            self._is_in_doubt |= self._is_writing
            raise
        self._is_in_doubt |= self._is_writing and answer.status_code in _IN_DOUBT
        if answer.status_code >= 400:
            raise error_of(answer)
        return answer

    def _pause(self, error: Exception) -> bool | float:
        """Whether to try again, and after how long where the gateway said it."""
        if not isinstance(error, UnavailableError):
            return False
        self._last = error
        if isinstance(error.__cause__, httpx.TransportError):
            return True
        pause_s = error.retry_after_s + random.uniform(0, FIRST_PAUSE_S)  # noqa: S311 (so that not all come at once)
        return pause_s if asyncio.get_running_loop().time() + pause_s < self._deadline_s else False

    def _final(self, error: UnavailableError) -> UnavailableError:
        """What the call ends with: the last that was heard, or that a write is in doubt."""
        if not self._is_in_doubt:
            return self._last or error
        said = (self._last or error).message.removeprefix(f"{GATEWAY} is unavailable: ")
        detail = f"{said}; what was sent may still be done"
        return UnknownOutcomeError(GATEWAY, detail, retry_after_s=error.retry_after_s)


def new_id() -> str:
    """A fresh UUIDv7: of an event, a run, a request."""
    return str(uuid_utils.uuid7())


def http_client(
    url: str, token: TokenSource, transport: httpx.AsyncBaseTransport | None, connections: int
) -> httpx.AsyncClient:
    """The client of a gateway's address."""
    return httpx.AsyncClient(
        base_url=url,
        auth=Credentials(token),
        timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),  # the call's deadline holds for the rest
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        transport=transport,
    )


Pauses = Callable[[], float]


def growing_pauses(first_s: float, longest_s: float) -> Pauses:
    """Pauses for a caller that goes on for ever: random up to a bound that doubles each time (full jitter).

    Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    bound_s = first_s

    def following() -> float:
        nonlocal bound_s
        pause_s = random.uniform(0, bound_s)  # noqa: S311 (chance that spreads load, not a secret)
        bound_s = min(2 * bound_s, longest_s)
        return pause_s

    return following


def is_passing(error: EverlogError) -> bool:
    """Whether the same request may succeed later: the way to the gateway failed, or the gateway itself."""
    return error.retryable or type(error) is EverlogError
