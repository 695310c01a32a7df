"""Around every request: its trace id, the bounds on bodies and on requests at once, its metric, and the last resort.

Plain ASGI: nothing is buffered and no task is made.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from everlog.gateway.metrics import GatewayMetrics
from everlog.gateway.problems import Refusal, problem_response, retry_after
from everlog.gateway.requests import traceparent
from everlog.schemas.errors import LimitExceededError

BODY_LIMIT: Final = "a body in bytes"
UNMATCHED: Final = "unmatched"
"""The route label of a request for no route: its path must not become a label."""
_BUSY_S: Final = 1.0

log = logging.getLogger(__name__)


class Edge:
    """The middleware. Sets ``trace_id`` in the request's state, and ``leave``: an answer that goes on for long calls
    it, and counts as a request no more, neither among those at once nor in its time."""

    def __init__(self, app: ASGIApp, *, metrics: GatewayMetrics, body_bytes_max: int, requests_max: int) -> None:
        self._app, self._metrics = app, metrics
        self._body_bytes_max, self._requests_max = body_bytes_max, requests_max
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        trace_id = traceparent(headers.get("traceparent"))[1] or secrets.token_hex(16)
        scope.setdefault("state", {})["trace_id"] = trace_id
        begun_s, status = time.perf_counter(), 0
        left_s: float | None = None

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        def leave() -> None:
            nonlocal left_s
            if left_s is None:
                left_s = time.perf_counter()
                self._requests -= 1

        scope["state"]["leave"] = leave
        self._requests += 1
        try:
            if refusal := self._refusal(headers):
                await problem_response(refusal, instance=scope["path"], trace_id=trace_id)(scope, receive, noting)
            else:
                await self._app(scope, self._bounded(receive), noting)
        except Exception:
            log.exception("Request failed", extra={"trace_id": trace_id})
            if status:
                raise
            refusal = Refusal("internal", "the operators find it in the log by the trace id")
            await problem_response(refusal, instance=scope["path"], trace_id=trace_id)(scope, receive, noting)
        finally:
            leave()
            route = getattr(scope.get("route"), "path", UNMATCHED)
            self._metrics.http_seconds.labels(route, str(status)).observe((left_s or begun_s) - begun_s)

    def _refusal(self, headers: Headers) -> Refusal | None:
        if self._requests > self._requests_max:
            return Refusal("unavailable", "too many requests at once", headers=retry_after(_BUSY_S))
        length = headers.get("content-length", "")
        if length.isdigit() and int(length[:19]) > self._body_bytes_max:
            extras = {"limit": BODY_LIMIT, "maximum": self._body_bytes_max, "actual": int(length[:19])}
            detail = f"{BODY_LIMIT} is limited to {self._body_bytes_max}"
            return Refusal("limit-exceeded", detail, extras=extras, headers={"Connection": "close"})
        return None

    def _bounded(self, receive: Receive) -> Receive:
        """Count a body as it comes: its length need not be announced, and may be a lie."""
        received = 0

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_bytes_max:
                raise LimitExceededError(BODY_LIMIT, maximum=self._body_bytes_max, actual=received)
            return message

        return counting
