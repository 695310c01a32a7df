"""``everlog projection``: sessions that are parked, and folding them on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from everlog.cli.archive import AsJson, Tenant, confirm, with_stores
from everlog.cli.output import note, print_facts, print_json, print_table
from everlog.schemas.errors import EverlogError, NotFoundError, UsageError

if TYPE_CHECKING:
    from everlog.cli.composition import Stores
    from everlog.domain.stored import Parked

app = typer.Typer(name="projection", help="The views: sessions that are parked.", no_args_is_help=True)

REDRIVE_TIMEOUT_S: Final = 600.0
"""How long a redrive is waited for: it reads history of every session, eight at a time."""
_COLUMNS: Final = ("session", "partition", "offset", "seen", "reason")


@app.callback()
def group() -> None:
    """The views: sessions that are parked."""


@app.command()
def redrive(
    sessions: Annotated[list[str] | None, typer.Argument(help="Session ids.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every session whose fold raised, of all tenants.")] = False,
    tenant: Tenant = "default",
    reason: Annotated[str, typer.Option(help="Why, for the projector's log.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is parked, and where.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fold parked sessions on with the code that the projector runs now."""
    if every == bool(sessions):
        raise UsageError("name sessions, or say --all")
    if not dry_run:
        confirm("redrive", yes)
    document = asyncio.run(with_stores(lambda stores: _redrive(stores, tenant, sessions, reason, dry_run)))
    if as_json:
        print_json(document)
    else:
        print_table("parked", _COLUMNS, [[row[column] for column in _COLUMNS] for row in document["parked"]])
        print_facts("redriven", {name: document[name] for name in ("asked", "redriven")})
    if not dry_run and document["redriven"] < document["asked"]:
        raise EverlogError(
            f"{document['asked'] - document['redriven']} sessions are parked still",
            hint="The projector's log names the reason; start it with the fix first",
        )


async def _redrive(
    stores: Stores, tenant: str, sessions: list[str] | None, reason: str, dry_run: bool
) -> dict[str, Any]:
    from everlog.cli.composition import new_id
    from everlog.runtime.owner_requests import Requests

    generation = (await stores.control.live()).generation
    parked = await _parked(stores, generation)
    keys = [key for key, waiting in parked.items() if not waiting.is_cold]
    if sessions is not None:
        keys = _named(tenant, sessions, parked)
    if dry_run:
        shown = parked if sessions is None else {key: parked[key] for key in keys}
        return {"asked": 0, "redriven": 0, "dry_run": True, "parked": _rows(stores, shown)}
    note(f"asking the projector for {len(keys)} sessions")
    requests = Requests(stores.identity, stores.control, generation, new_id)
    done = await requests.carry_out("redrive", keys, reason=reason, deadline_s=REDRIVE_TIMEOUT_S)
    still = {key: waiting for key, waiting in (await _parked(stores, generation)).items() if key in keys}
    return {"asked": len(keys), "redriven": done, "dry_run": False, "parked": _rows(stores, still)}


async def _parked(stores: Stores, generation: int) -> dict[str, Parked]:
    warm = stores.warm(generation)
    return {
        key: parked for partition in range(stores.identity.partitions) async for key, parked in warm.parked(partition)
    }


def _named(tenant: str, sessions: list[str], parked: dict[str, Parked]) -> list[str]:
    from everlog.schemas.identifiers import session_key

    keys = {session_key(tenant, session): session for session in sessions}
    missing = [session for key, session in keys.items() if key not in parked]
    if missing:
        raise NotFoundError(f"not parked: {', '.join(missing)}", hint="See: everlog projection redrive --all --dry-run")
    return list(keys)


def _rows(stores: Stores, parked: dict[str, Parked]) -> list[dict[str, Any]]:
    from everlog.domain.record import partition_of

    return [
        {
            "session": key,
            "partition": partition_of(key.encode(), stores.identity.partitions),
            "offset": waiting.offset,
            "seen": waiting.seen,
            "reason": waiting.reason,
            "since_ms": waiting.since_ms,
        }
        for key, waiting in sorted(parked.items())
    ]
