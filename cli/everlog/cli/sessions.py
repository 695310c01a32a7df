"""Commands on sessions, through the gateway: create, append, show, timeline."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everlog.cli.output import print_facts, print_json, print_table
from everlog.schemas.errors import UsageError

if TYPE_CHECKING:
    from everlog.client import Everlog

SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="Session id.")]
Tenant = Annotated[str, typer.Option(help="Tenant, where the local key signs the token.")]
Principal = Annotated[str, typer.Option(help="Principal, where the local key signs the token.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(create)
    app.command()(append)
    app.command()(show)
    app.command()(timeline)


def create(
    session: Annotated[str | None, typer.Argument(metavar="[SESSION]", help="Session id; made up by default.")] = None,
    title: Annotated[str | None, typer.Option(help="One line for people.")] = None,
    tenant: Tenant = "default",
    principal: Principal = "local-user",
    as_json: AsJson = False,
) -> None:
    """Create a session."""

    async def work(log: Everlog) -> dict[str, Any]:
        created = await log.create(session, title=title)
        return {"session": created.id}

    _facts("created", _run(work, tenant, principal), as_json)


def append(
    session: SessionId,
    text: Annotated[str | None, typer.Argument(help="Text of a message.")] = None,
    type_name: Annotated[str, typer.Option("--type", help="Type of the event.")] = "message.appended",
    data: Annotated[str | None, typer.Option(help="The event's data, a JSON object.")] = None,
    role: Annotated[str, typer.Option(help="Role of a message.")] = "user",
    expected_version: Annotated[int | None, typer.Option(min=0, help="Version the session must have.")] = None,
    tenant: Tenant = "default",
    principal: Principal = "local-user",
    as_json: AsJson = False,
) -> None:
    """Append a message, or any event with --type and --data."""
    payload = _payload(text, data, role)

    async def work(log: Everlog) -> dict[str, Any]:
        done = await log.session(session).append(type_name, payload, expected_version=expected_version)
        return {"event_id": done.event_id, "version": done.version}

    _facts("appended", _run(work, tenant, principal), as_json)


def show(
    session: SessionId,
    at_version: Annotated[int | None, typer.Option(min=1, help="As it was at this version.")] = None,
    tenant: Tenant = "default",
    principal: Principal = "local-user",
    as_json: AsJson = False,
) -> None:
    """Show the state of a session."""

    async def work(log: Everlog) -> dict[str, Any]:
        state = await log.session(session).state(at_version=at_version)
        return {**state.model_dump(mode="json"), "tier": state.tier}

    document = _run(work, tenant, principal)
    if as_json:
        print_json(document)
    else:
        print_facts(session, {name: value for name, value in document.items() if value not in ({}, [], None)})


def timeline(
    session: SessionId,
    after: Annotated[int, typer.Option(min=0, help="Only versions above this one.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="Entries at most.")] = 100,
    tenant: Tenant = "default",
    principal: Principal = "local-user",
    as_json: AsJson = False,
) -> None:
    """Show what happened in a session, oldest first."""

    async def work(log: Everlog) -> list[dict[str, Any]]:
        entries = log.session(session).timeline(after=after, limit=limit)
        return [entry.model_dump(mode="json", exclude_none=True) async for entry in entries]

    events = _run(work, tenant, principal)
    if as_json:
        print_json({"events": events})
        return
    rows = [(event["version"], event["time"], event["actor"], event["type"], _brief(event["data"])) for event in events]
    print_table(session, ("version", "time", "actor", "type", "data"), rows)


def _run(work: Callable[[Everlog], Awaitable[Any]], tenant: str, principal: str) -> Any:
    from everlog.cli.client_settings import ClientSettings
    from everlog.cli.tokens import local_token
    from everlog.client import Everlog

    settings = ClientSettings.load()
    given = settings.token
    token = given.get_secret_value() if given is not None else local_token(tenant=tenant, principal=principal)

    async def connected() -> Any:
        async with Everlog.connect(settings.url, token=token) as log:
            return await work(log)

    return asyncio.run(connected())


def _payload(text: str | None, data: str | None, role: str) -> dict[str, Any]:
    if (text is None) == (data is None):
        raise UsageError("give either a text or --data")
    if data is None:
        return {"role": role, "parts": [{"type": "text", "text": text}]}
    try:
        payload = json.loads(data)
    except json.JSONDecodeError as error:
        raise UsageError(f"--data is not JSON: {error}") from None
    if not isinstance(payload, dict):
        raise UsageError("--data is not a JSON object")
    return payload


def _facts(title: str, facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        print_facts(title, facts)


def _brief(data: dict[str, Any]) -> str:
    """The text of a message, or the data, in one line of bounded length."""
    parts = data.get("parts")
    text = parts[0].get("text") if parts else None
    line = text if text is not None else json.dumps(data, ensure_ascii=False)
    return line if len(line) <= 100 else f"{line[:99]}…"
