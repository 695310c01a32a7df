"""Commands that speak to the gateway: their common options, and a connection as whoever the options name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from everlog.schemas.errors import UsageError

if TYPE_CHECKING:
    from everlog.client import Everlog

Result = TypeVar("Result")

SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="Session id.")]
Tenant = Annotated[str, typer.Option(help="Tenant, where the local key signs the token.")]
Principal = Annotated[str, typer.Option(help="Principal, where the local key signs the token.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
AsLines = Annotated[bool, typer.Option("--ndjson", help="One JSON object a line on stdout.")]
Labels = Annotated[list[str] | None, typer.Option("--label", metavar="NAME:VALUE", help="A label; may be repeated.")]


@asynccontextmanager
async def connected(tenant: str, principal: str) -> AsyncIterator[Everlog]:
    """A client of the gateway in the settings. Raises ``NotFoundError`` without a token and a key that signs one."""
    from everlog.cli.client_settings import ClientSettings
    from everlog.cli.tokens import local_token
    from everlog.client import Everlog

    settings = ClientSettings.load()
    given = settings.token
    token = given.get_secret_value() if given is not None else lambda: local_token(tenant=tenant, principal=principal)
    async with Everlog.connect(settings.url, token=token) as log:
        yield log


def run(work: Callable[[Everlog], Awaitable[Result]], tenant: str, principal: str) -> Result:
    """What ``work`` makes of a connection."""

    async def working() -> Result:
        async with connected(tenant, principal) as log:
            return await work(log)

    return asyncio.run(working())


def labels_of(given: list[str] | None) -> dict[str, str]:
    """Labels by name. Raises ``UsageError`` for one without a colon."""
    labels = {}
    for each in given or []:
        name, colon, value = each.partition(":")
        if not (name and colon):
            raise UsageError(f"--label {each}: a label is NAME:VALUE")
        labels[name] = value
    return labels


def plain(model: Any) -> dict[str, Any]:
    """A model of the SDK as a JSON object; what it does not have is left out."""
    dumped: dict[str, Any] = model.model_dump(mode="json", exclude_none=True)
    return dumped
