"""Requests to the gateway: the same request again where that is safe, typed errors otherwise.

Every request may be repeated: reads change nothing, and every append and creation carries an id of its own, so that a
repetition gets the first answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx
import stamina

from everlog.client.problems import GATEWAY, error_of
from everlog.schemas.errors import UnavailableError

RETRY_TIMEOUT_S: Final = 15.0
"""No new attempt after so long: a restart of the gateway or a failover of Kafka takes less."""
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
REQUEST_TIMEOUT_S: Final = 40.0
"""Longer than the longest wait that the gateway grants (30 s)."""
CONNECT_TIMEOUT_S: Final = 5.0
CONNECTIONS: Final = 100


class Link:
    """An HTTP client of one gateway with one token."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer, of a status below 400. Raises ``EverlogError``: ``UnavailableError`` after the last attempt."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        async for attempt in stamina.retry_context(
            on=UnavailableError,
            attempts=None,
            timeout=RETRY_TIMEOUT_S,
            wait_initial=FIRST_PAUSE_S,
            wait_max=LONGEST_PAUSE_S,
            wait_jitter=FIRST_PAUSE_S,
        ):
            with attempt:
                return await self._once(method, path, body, given, headers)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(
        self, method: str, path: str, body: Any, query: Mapping[str, Any], headers: Mapping[str, str] | None
    ) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, json=body, params=query, headers=headers)
        except httpx.TransportError as error:
            raise UnavailableError(GATEWAY, str(error) or type(error).__name__) from error
        if answer.status_code >= 400:
            raise error_of(answer)
        return answer


def http_client(url: str, token: str, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    """The client of a gateway's address."""
    return httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=httpx.Timeout(REQUEST_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        transport=transport,
    )
