"""Routes whose parameters are read by hand.

FastAPI resolves the parameters of a route anew for every request: for the nine of an append that took a quarter of the
process's time, more than all that Everlog did with it (measured with py-spy). Such a route is declared with its
parameters as every other, and so it is described; but ``resolved`` reads them from the bare request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Resolved = Callable[[Request], Awaitable[Response]]


class DirectRoute(APIRoute):
    """Served by what its endpoint was registered with, where it was; else as every route of FastAPI."""

    resolved: ClassVar[dict[Callable[..., Any], Resolved]] = {}
    """By endpoint: what reads the parameters and calls it."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        serve = self.resolved.get(self.endpoint)
        if serve is None or scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        response = await serve(Request(scope, receive, send))
        await response(scope, receive, send)
