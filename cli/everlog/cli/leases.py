"""``everlog lease``: who holds leases in a session, and taking one away; through the gateway, as an operator."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from everlog.cli.archive import confirm
from everlog.cli.as_client import AsJson, Principal, SessionId, Tenant
from everlog.cli.output import print_facts, print_json, print_table
from everlog.schemas.errors import NotFoundError

if TYPE_CHECKING:
    from everlog.client.link import Link

app = typer.Typer(name="lease", help="Leases of participants: who holds one, take one away.", no_args_is_help=True)

_COLUMNS: Final = ("participant", "kind", "epoch", "state", "ttl_s", "alive_until")


@app.callback()
def group() -> None:
    """Leases of participants: who holds one, take one away."""


@app.command("list")
def list_leases(
    session: SessionId, tenant: Tenant = "default", principal: Principal = "local-user", as_json: AsJson = False
) -> None:
    """Show the leases that are held in a session, and whether their holders are alive."""
    leases = _run(lambda link: _held(link, session), tenant, principal)
    if as_json:
        print_json({"session": session, "leases": leases})
    else:
        print_table(
            f"leases of {session}", _COLUMNS, [[lease[column] or "" for column in _COLUMNS] for lease in leases]
        )


@app.command()
def revoke(
    session: SessionId,
    participant: Annotated[str, typer.Argument(help="Whose lease.")],
    reason: Annotated[str, typer.Option(help="Why: it goes to the session's log and to the audit trail.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the lease.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    tenant: Tenant = "default",
    principal: Principal = "local-user",
    as_json: AsJson = False,
) -> None:
    """Take a lease away: its holder is fenced for ever, and what it left open is abandoned."""
    held = {lease["participant"]: lease for lease in _run(lambda link: _held(link, session), tenant, principal)}
    if participant not in held:
        raise NotFoundError(f"{participant} holds no lease in {session}", hint=f"See: everlog lease list {session}")
    epoch = held[participant]["epoch"]
    document = {"session": session, "participant": participant, "epoch": epoch, "dry_run": dry_run, "version": None}
    if not dry_run:
        confirm(participant, yes)
        document["version"] = _run(lambda link: _revoked(link, session, participant, epoch, reason), tenant, principal)
    if as_json:
        print_json(document)
    else:
        print_facts("revoked" if not dry_run else "would be revoked", document)


async def _held(link: Link, session: str) -> list[dict[str, Any]]:
    from everlog.schemas.http import HeldLeaseAnswer, StateAnswer

    state = StateAnswer.model_validate_json((await link.request("GET", f"/v1/sessions/{session}")).content)
    rows = []
    for entry in state.participants:
        if entry.lease_epoch is None:
            continue
        path = f"/v1/sessions/{session}/participants/{entry.participant}/lease"
        lease = HeldLeaseAnswer.model_validate_json((await link.request("GET", path)).content)
        if lease.epoch is not None:
            state_now = "alive" if lease.alive_until is not None else "lapsed"
            rows.append({**lease.model_dump(), "kind": entry.kind, "state": state_now})
    return rows


async def _revoked(link: Link, session: str, participant: str, epoch: int, reason: str) -> int | None:
    from everlog.client.answers import appended
    from everlog.schemas.http import LEASE_EPOCH_HEADER

    path = f"/v1/sessions/{session}/participants/{participant}/lease"
    headers = {LEASE_EPOCH_HEADER: str(epoch)}
    answer = await link.request("DELETE", path, query={"reason": reason}, headers=headers)
    return (await appended(link, answer).outcome()).version


def _run(work: Callable[[Link], Awaitable[Any]], tenant: str, principal: str) -> Any:
    """What an operator gets of the gateway: with the token of the settings, else one of the local key."""
    from everlog.cli.client_settings import ClientSettings
    from everlog.cli.tokens import local_token
    from everlog.client.link import CONNECTIONS, Link, http_client

    settings = ClientSettings.load()
    given = settings.token
    token = (
        given.get_secret_value()
        if given is not None
        else local_token(tenant=tenant, principal=principal, role="operator")
    )

    async def connected() -> Any:
        async with http_client(settings.url, token, None, CONNECTIONS) as client:
            return await work(Link(client))

    return asyncio.run(connected())
