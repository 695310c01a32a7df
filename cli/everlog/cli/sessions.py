"""Commands on one session, through the gateway: create, append, show."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everlog.cli.as_client import AsJson, Labels, Principal, SessionId, Tenant, labels_of, run
from everlog.cli.output import print_facts, print_json
from everlog.schemas.errors import UsageError

if TYPE_CHECKING:
    from everlog.client import Everlog


class IfExists(StrEnum):
    """What to do about a session that exists."""

    ERROR = "error"
    OPEN = "open"


class Wait(StrEnum):
    """What an append waits for."""

    VERDICT = "verdict"
    DURABLE = "durable"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(create)
    app.command()(append)
    app.command()(show)


def create(
    session: Annotated[str | None, typer.Argument(metavar="[SESSION]", help="Session id; made up by default.")] = None,
    title: Annotated[str | None, typer.Option(help="One line for people.")] = None,
    label: Labels = None,
    if_exists: Annotated[IfExists, typer.Option(help="What to do about one that exists.")] = IfExists.ERROR,
    tenant: Tenant = "default",
    principal: Principal = "local-user",
    as_json: AsJson = False,
) -> None:
    """Create a session."""
    labels = labels_of(label)

    async def work(log: Everlog) -> dict[str, Any]:
        created = await log.create(session, title=title, labels=labels or None, if_exists=if_exists.value)
        return {"session": created.id}

    _show("created", run(work, tenant, principal), as_json)


def append(
    session: SessionId,
    text: Annotated[str | None, typer.Argument(help="Text of a message.")] = None,
    type_name: Annotated[str, typer.Option("--type", help="Type of the event.")] = "message.appended",
    data: Annotated[str | None, typer.Option(help="The event's data, a JSON object.")] = None,
    role: Annotated[str, typer.Option(help="Role of a message.")] = "user",
    expected_version: Annotated[int | None, typer.Option(min=0, help="Version the session must have.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="The same id again gets the first answer.")] = None,
    wait: Annotated[Wait, typer.Option(help="Wait for the verdict, or only until it is safe.")] = Wait.VERDICT,
    tenant: Tenant = "default",
    principal: Principal = "local-user",
    as_json: AsJson = False,
) -> None:
    """Append a message, or any event with --type and --data."""
    payload = _payload(text, data, role)

    async def work(log: Everlog) -> dict[str, Any]:
        done = await log.session(session).append(
            type_name, payload, expected_version=expected_version, event_id=event_id, wait=wait.value
        )
        return {"event_id": done.event_id, "outcome": done.result, "version": done.version}

    _show("appended", run(work, tenant, principal), as_json)


def show(
    session: SessionId,
    at_version: Annotated[int | None, typer.Option(min=1, help="As it was at this version.")] = None,
    min_version: Annotated[int | None, typer.Option(min=1, help="At least this version, waited for.")] = None,
    tenant: Tenant = "default",
    principal: Principal = "local-user",
    as_json: AsJson = False,
) -> None:
    """Show the state of a session."""
    if at_version is not None and min_version is not None:
        raise UsageError("--at-version and --min-version exclude each other")

    async def work(log: Everlog) -> dict[str, Any]:
        state = await log.session(session).state(at_version=at_version, min_version=min_version)
        return state.model_dump(mode="json")

    document = run(work, tenant, principal)
    if as_json:
        print_json(document)
    else:
        print_facts(session, {name: value for name, value in document.items() if value not in ({}, [], None)})


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


def _show(title: str, facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        print_facts(title, facts)
