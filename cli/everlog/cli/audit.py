"""``everlog audit``: who was refused and what operators did; and writing the latter down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everlog.cli.output import print_json, print_table

if TYPE_CHECKING:
    from everlog.cli.composition import Stores
    from everlog.schemas.audit import AuditEvent

app = typer.Typer(name="audit", help="Denied requests and operators' actions.", no_args_is_help=True)

LAST_DEFAULT = 50


@app.callback()
def group() -> None:
    """Denied requests and operators' actions."""


@app.command()
def tail(
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many of the newest.")] = LAST_DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    as_lines: Annotated[bool, typer.Option("--ndjson", help="A JSON document a line.")] = False,
) -> None:
    """Show the newest entries, oldest first."""
    entries = asyncio.run(_tail(last))
    documents = [entry.model_dump(mode="json", exclude_none=True) for entry in entries]
    if as_lines:
        for document in documents:
            print_json(document)
    elif as_json:
        print_json({"entries": documents})
    else:
        print_table("audit", ("time", "tenant", "actor", "what", "detail"), [_row(entry) for entry in entries])


async def record_operation(
    stores: Stores,
    command: str,
    *,
    reason: str = "",
    arguments: Mapping[str, object] | None = None,
    sessions: Sequence[str] = (),
) -> None:
    """Write down what an operator is about to do. Raises ``UnavailableError``: then it must not be done."""
    import getpass
    from datetime import UTC, datetime

    from everlog.adapters.kafka.audit import KafkaAuditTrail
    from everlog.cli.composition import new_id
    from everlog.schemas.audit import AuditEvent, Operation, cut
    from everlog.schemas.times import as_text

    async with KafkaAuditTrail(stores.settings.kafka) as trail:
        await trail.record(
            AuditEvent(
                id=new_id(),
                source="/cli",
                type="everlog.audit.operation.v1",
                time=as_text(datetime.now(UTC)),
                actor=cut(getpass.getuser()),
                data=Operation.of(command, reason, arguments or {}, sessions),
            )
        )


async def _tail(last: int) -> list[AuditEvent]:
    from everlog.adapters.kafka.audit import KafkaAuditTrail
    from everlog.runtime.config import KafkaSettings

    async with KafkaAuditTrail(KafkaSettings.load()) as trail:
        return await trail.tail(last)


def _row(entry: AuditEvent) -> Sequence[Any]:
    from everlog.schemas.audit import Denial

    data = entry.data
    if isinstance(data, Denial):
        what, detail = f"{data.method} {data.path}", data.detail
    else:
        what, detail = data.command, data.reason
    return entry.time, entry.tenantid or "", entry.actor or "", what, detail
