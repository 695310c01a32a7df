"""Commands that read conversations, through the gateway: messages, timeline, follow, search."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from everlog.cli.as_client import (
    AsJson,
    AsLines,
    Labels,
    Principal,
    SessionId,
    Tenant,
    connected,
    labels_of,
    plain,
    run,
)
from everlog.cli.output import print_json, print_table
from everlog.schemas.errors import UsageError

if TYPE_CHECKING:
    from everlog.client import Everlog

BRIEF_CHARACTERS: Final = 100
"""Of an event's data in a table: a line of a usual terminal."""


class View(StrEnum):
    """How messages are shown."""

    MODEL = "model"
    RAW = "raw"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(messages)
    app.command()(timeline)
    app.command()(follow)
    app.command()(search)


def messages(
    session: SessionId,
    last: Annotated[int | None, typer.Option(min=1, help="Only so many, the newest.")] = None,
    view: Annotated[View, typer.Option(help="As a model should see them, or as they were written.")] = View.MODEL,
    tenant: Tenant = "default",
    principal: Principal = "local-user",
    as_json: AsJson = False,
    as_lines: AsLines = False,
) -> None:
    """Show the messages of a session, oldest first, with edits and redactions applied."""

    async def work(log: Everlog) -> list[dict[str, Any]]:
        return [plain(message) for message in await log.session(session).messages(last=last, view=view.value)]

    found = run(work, tenant, principal)
    rows = [(each["version"], each["recorded_at"], each["author"], each["role"], _brief(each)) for each in found]
    _print(session, "messages", found, ("version", "time", "author", "role", "text"), rows, as_json, as_lines)


def timeline(
    session: SessionId,
    after: Annotated[int, typer.Option(min=0, help="Only versions above this one.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="Entries at most.")] = 100,
    tenant: Tenant = "default",
    principal: Principal = "local-user",
    as_json: AsJson = False,
    as_lines: AsLines = False,
) -> None:
    """Show what happened in a session, oldest first."""

    async def work(log: Everlog) -> list[dict[str, Any]]:
        return [plain(event) async for event in log.session(session).timeline(after=after, limit=limit)]

    events = run(work, tenant, principal)
    rows = [(event["version"], event["time"], event["actor"], event["type"], _brief(event["data"])) for event in events]
    _print(session, "events", events, ("version", "time", "actor", "type", "data"), rows, as_json, as_lines)


def follow(
    session: SessionId,
    after: Annotated[int | None, typer.Option(min=0, help="From behind this version; else from now on.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    tenant: Tenant = "default",
    principal: Principal = "local-user",
    as_lines: AsLines = False,
) -> None:
    """Show events of a session as they come, until interrupted."""

    async def work() -> None:
        left = limit
        async with connected(tenant, principal) as log:
            async for event in log.session(session).follow(after=after):
                _print_event(plain(event), as_lines)
                left = left - 1 if left is not None else None
                if left == 0:
                    return

    asyncio.run(work())


def search(
    words: Annotated[str | None, typer.Argument(metavar="[WORDS]", help="What to search for.")] = None,
    label: Labels = None,
    status: Annotated[str | None, typer.Option(help="Only sessions of this status.")] = None,
    participant: Annotated[str | None, typer.Option(help="Only sessions with this participant.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Sessions at most.")] = 50,
    tenant: Tenant = "default",
    principal: Principal = "local-user",
    as_json: AsJson = False,
    as_lines: AsLines = False,
) -> None:
    """Find sessions by words, labels, status and participant, the latest updated first; all of them without any."""
    labels = labels_of(label)

    async def work(log: Everlog) -> list[dict[str, Any]]:
        if words is None:
            found = log.list(labels=labels, status=status, participant=participant, limit=limit)
        else:
            found = log.search(words, labels=labels, status=status, participant=participant, limit=limit)
        return [plain(each) async for each in found]

    sessions = run(work, tenant, principal)
    columns = ("session", "version", "status", "title", "updated_at")
    rows = [tuple(each.get(column, "") for column in columns) for each in sessions]
    _print("sessions", "sessions", sessions, columns, rows, as_json, as_lines)


def _print(
    title: str,
    name: str,
    found: list[dict[str, Any]],
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    as_json: bool,
    as_lines: bool,
) -> None:
    if as_json and as_lines:
        raise UsageError("--json and --ndjson exclude each other")
    if as_json:
        print_json({name: found})
    elif as_lines:
        for each in found:
            print_json(each)
    else:
        print_table(title, columns, rows)


def _print_event(event: dict[str, Any], as_lines: bool) -> None:
    if as_lines:
        print_json(event)
        return
    short = event["type"].removeprefix("everlog.")
    typer.echo(f"{event['version']:>6}  {event['time']}  {event['actor']}  {short}  {_brief(event['data'])}")


def _brief(data: dict[str, Any]) -> str:
    """The text of a message, or the data, in one line of bounded length."""
    parts = data.get("parts")
    text = parts[0].get("text") if isinstance(parts, list) and parts else None
    call = data.get("tool_call")
    if text is None and isinstance(call, dict):
        text = f"{call.get('name', '')}: {call['status']}"
    line = text if text is not None else json.dumps(data, ensure_ascii=False)
    line = " ".join(line.split())
    return line if len(line) <= BRIEF_CHARACTERS else f"{line[: BRIEF_CHARACTERS - 1]}…"
