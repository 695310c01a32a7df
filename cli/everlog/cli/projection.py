"""``everlog projection``: how far the views are, sessions that are parked or wrong, and putting them right."""

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
    from everlog.ports.control import Generation

app = typer.Typer(name="projection", help="The views: how far they are, what is parked.", no_args_is_help=True)

REDRIVE_TIMEOUT_S: Final = 600.0
"""How long a redrive is waited for: it reads history of every session, eight at a time."""
REPAIR_TIMEOUT_S: Final = 600.0
"""How long a repair is waited for: it folds every session from its first event, eight at a time."""
_COLUMNS: Final = ("session", "partition", "offset", "seen", "reason")
_PROGRESS: Final = ("partition", "watermark", "log_end", "lag", "parked", "cold")


@app.callback()
def group() -> None:
    """The views: how far they are, what is parked."""


@app.command("list")
def list_generations(as_json: AsJson = False) -> None:
    """Every generation: whether it is the live one, and how far it has folded each partition."""
    document = asyncio.run(with_stores(_generations))
    if as_json:
        print_json({"generations": document})
        return
    for found in document:
        title = f"generation {found['generation']}, fold version {found['fold_version']}"
        rows = [[part[column] for column in _PROGRESS] for part in found["partitions"]]
        print_table(f"{title}, live" if found["live"] else title, _PROGRESS, rows)


@app.command()
def parked(as_json: AsJson = False) -> None:
    """What is parked in the live generation: where each session waits, why, and since when."""
    document = asyncio.run(with_stores(_all_parked))
    if as_json:
        print_json({"parked": document})
    else:
        print_table("parked", _COLUMNS, [[row[column] for column in _COLUMNS] for row in document])


@app.command()
def repair(
    sessions: Annotated[list[str], typer.Argument(help="Session ids.")],
    tenant: Tenant = "default",
    reason: Annotated[str, typer.Option(help="Why, for the projector's log.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fold sessions anew from archive and log, and replace what the stores hold otherwise."""
    confirm("repair", yes)
    document = asyncio.run(with_stores(lambda stores: _repair(stores, tenant, sessions, reason)))
    if as_json:
        print_json(document)
    else:
        print_facts("repaired", document)


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
    generation = (await stores.control.live()).generation
    parked = await _parked(stores, generation)
    keys = [key for key, waiting in parked.items() if not waiting.is_cold]
    if sessions is not None:
        keys = _named(tenant, sessions, parked)
    if dry_run:
        shown = parked if sessions is None else {key: parked[key] for key in keys}
        return {"asked": 0, "redriven": 0, "dry_run": True, "parked": _rows(stores, shown)}
    note(f"asking the projector for {len(keys)} sessions")
    requests = stores.requests(generation)
    done = await requests.carry_out("redrive", keys, reason=reason, deadline_s=REDRIVE_TIMEOUT_S)
    still = {key: waiting for key, waiting in (await _parked(stores, generation)).items() if key in keys}
    return {"asked": len(keys), "redriven": done, "dry_run": False, "parked": _rows(stores, still)}


async def _generations(stores: Stores) -> list[dict[str, Any]]:
    live = (await stores.control.live()).generation
    return [await _progress(stores, found, live) for found in await stores.control.generations()]


async def _progress(stores: Stores, found: Generation, live: int) -> dict[str, Any]:
    """How far a generation is; ``watermark`` is null where it has not begun."""
    warm, era = stores.warm(found.generation), stores.identity.era
    partitions = []
    for partition in range(stores.identity.partitions):
        watermark = await warm.watermark(era, partition)
        end = (await stores.log.bounds(partition)).end
        waiting = [parked async for _, parked in warm.parked(partition)]
        cold = sum(parked.is_cold for parked in waiting)
        partitions.append(
            {
                "partition": partition,
                "watermark": watermark,
                "log_end": end,
                "lag": max(0, end - (watermark or 0)),
                "parked": len(waiting) - cold,
                "cold": cold,
            }
        )
    return {
        "generation": found.generation,
        "live": found.generation == live,
        "fold_version": found.fold_version,
        "lag": sum(part["lag"] or 0 for part in partitions),
        "parked": sum(part["parked"] or 0 for part in partitions),
        "partitions": partitions,
    }


async def _all_parked(stores: Stores) -> list[dict[str, Any]]:
    return _rows(stores, await _parked(stores, (await stores.control.live()).generation))


async def _repair(stores: Stores, tenant: str, sessions: list[str], reason: str) -> dict[str, int]:
    from everlog.schemas.identifiers import session_key

    keys = sorted({session_key(tenant, session) for session in sessions})
    note(f"asking the projector to compare {len(keys)} sessions with history")
    requests = stores.requests((await stores.control.live()).generation)
    done = await requests.carry_out("repair", keys, reason=reason, deadline_s=REPAIR_TIMEOUT_S)
    return {"asked": len(keys), "replaced": done}


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
        raise NotFoundError(f"not parked: {', '.join(missing)}", hint="See: everlog projection parked")
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
