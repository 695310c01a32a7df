"""``everlog archive``: look at the archive, run the archiver once, trim, evict, bring back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everlog.cli.audit import record_operation
from everlog.cli.output import note, print_facts, print_json, print_table
from everlog.schemas.errors import UsageError

if TYPE_CHECKING:
    from everlog.cli.composition import Stores

app = typer.Typer(name="archive", help="The cold tier: state, sealing, trimming, eviction.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit trail.")]
Tenant = Annotated[str, typer.Option(help="Tenant of the sessions.")]


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show what each partition has on the log and in the archive."""
    rows = asyncio.run(with_stores(_status))
    if as_json:
        print_json({"partitions": rows})
        return
    columns = ("partition", "log_start", "log_end", "archived", "proved", "segments", "bytes")
    print_table("archive", columns, [[row[column] for column in columns] for row in rows])


@app.command()
def run(as_json: AsJson = False) -> None:
    """Archive and prove everything that is on the log now. A running archiver starts over afterwards."""
    _show("archived", asyncio.run(with_stores(_run)), as_json)


@app.command()
def trim(
    window_s: Annotated[float, typer.Option(min=0, help="What is younger stays on the log, seconds.")] = 3600.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete from the log what is proved to be in the archive and needed by no generation."""
    if not dry_run:
        confirm("trim", yes)
    trims = asyncio.run(with_stores(lambda stores: _trim(stores, window_s, dry_run, reason)))
    document = {"trimmed_events": sum(row["events"] for row in trims), "dry_run": dry_run, "partitions": trims}
    if as_json:
        print_json(document)
    else:
        print_table("trimmed", ("partition", "events", "log_start"), [list(row.values()) for row in trims])


@app.command()
def evict(
    sessions: Annotated[list[str] | None, typer.Argument(help="Session ids; all idle ones by default.")] = None,
    tenant: Tenant = "default",
    idle_s: Annotated[float, typer.Option(min=0, help="Only what did not change for so long, seconds.")] = 86_400.0,
    timelines: Annotated[bool, typer.Option("--timelines", help="Only timeline entries; states stay warm.")] = False,
    keep_entries: Annotated[int, typer.Option(min=0, help="Newest entries that stay warm, of timelines.")] = 50,
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let idle, proved sessions leave the warm store but for a stub (or only their timelines)."""
    confirm("evict", yes)
    kind = "evict_timeline" if timelines else "evict_session"
    document = asyncio.run(
        with_stores(lambda stores: _evict(stores, kind, _keys(tenant, sessions), idle_s, keep_entries, reason))
    )
    _show("evicted", document, as_json)


@app.command()
def rehydrate(
    sessions: Annotated[list[str], typer.Argument(help="Session ids.")],
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Bring the states of evicted sessions back to the warm store."""
    keys = _keys(tenant, sessions) or []
    _show("rehydrated", asyncio.run(with_stores(lambda stores: _rehydrate(stores, keys))), as_json)


def confirm(word: str, yes: bool) -> None:
    """Ask a person to type the word; without a terminal ``--yes`` is needed. Raises ``UsageError``."""
    import sys

    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{word} needs --yes when nobody can be asked")
    if typer.prompt(f"Type {word} to go on", err=True) != word:
        raise UsageError("nothing was done")


def _show(title: str, document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        print_facts(title, document)


def _keys(tenant: str, sessions: list[str] | None) -> list[str] | None:
    from everlog.schemas.identifiers import session_key

    return [session_key(tenant, session) for session in sessions] if sessions else None


async def with_stores(work: Any) -> Any:
    """What an asynchronous function makes of the stores, which are closed afterwards."""
    from everlog.cli.composition import StoreSettings, open_stores

    async with open_stores(StoreSettings.load()) as stores:
        return await work(stores)


async def _status(stores: Stores) -> list[dict[str, int]]:
    rows = []
    for partition in range(stores.identity.partitions):
        bounds = await stores.log.bounds(partition)
        manifest = await stores.manifests.load(stores.identity.era, partition)
        entries = manifest.segments if manifest is not None else ()
        rows.append(
            {
                "partition": partition,
                "log_start": bounds.start,
                "log_end": bounds.end,
                "archived": manifest.next_offset if manifest is not None else 0,
                "proved": manifest.trim_ok_offset if manifest is not None else 0,
                "segments": len(entries),
                "bytes": sum(entry.bytes for entry in entries),
            }
        )
    return rows


async def _run(stores: Stores) -> dict[str, int]:
    from everlog.archiver.settings import ArchiverSettings

    archiver = await stores.archiver(ArchiverSettings.load())
    sealed = await archiver.seal(everything=True)
    await archiver.prove()
    return sealed._asdict()


async def _trim(stores: Stores, window_s: float, dry_run: bool, reason: str) -> list[dict[str, int]]:
    from everlog.archiver.settings import ArchiverSettings

    if not dry_run:
        await record_operation(stores, "archive trim", reason=reason, arguments={"window_s": window_s})
    archiver = await stores.archiver(ArchiverSettings.load())
    trims = await archiver.trim(window_s=window_s, dry_run=dry_run)
    return [
        {"partition": trim.partition, "events": trim.after - trim.before, "log_start": trim.after} for trim in trims
    ]


async def proved_offsets(stores: Stores) -> dict[int, int]:
    """Up to where each partition is proved."""
    proved = {}
    for partition in range(stores.identity.partitions):
        manifest = await stores.manifests.load(stores.identity.era, partition)
        if manifest is not None:
            proved[partition] = manifest.trim_ok_offset
    return proved


async def _evict(
    stores: Stores, kind: Any, keys: list[str] | None, idle_s: float, keep_entries: int, reason: str
) -> dict[str, int]:
    from everlog.archiver.eviction import idle_sessions
    from everlog.cli.composition import now_ms

    generation = (await stores.control.live()).generation
    proved = await proved_offsets(stores)
    if keys is None:
        before_ms = now_ms() + 1 - int(idle_s * 1000)
        keys = [key async for key in idle_sessions(stores.warm(generation), proved, before_ms)]
    note(f"asking the projector for {len(keys)} sessions")
    arguments = {"kind": kind, "idle_s": idle_s, "keep_entries": keep_entries}
    await record_operation(stores, "archive evict", reason=reason, arguments=arguments, sessions=keys)
    requests = stores.requests(generation)
    return {
        "asked": len(keys),
        "evicted": await requests.carry_out(kind, keys, proved=proved, keep_entries=keep_entries),
    }


async def _rehydrate(stores: Stores, keys: list[str]) -> dict[str, int]:
    generation = (await stores.control.live()).generation
    requests = stores.requests(generation)
    return {"asked": len(keys), "rehydrated": await requests.carry_out("rehydrate", keys)}
