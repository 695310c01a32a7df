"""``everlog demo``: the main job on real services with real conversations, from nothing to a summary."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_CONVERSATIONS = 1_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    conversations: Annotated[int, typer.Option(min=1, help="How many of the 7,168 conversations.")] = (
        DEFAULT_CONVERSATIONS
    ),
    everything: Annotated[bool, typer.Option("--all", help="All 7,168 conversations.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Append, project, archive, prove, trim, evict and bring back real conversations; then stop everything."""
    from everlog.cli.demo.report import show
    from everlog.cli.demo.run import run_demo

    figures = run_demo(None if everything else conversations)
    show(figures, as_json)
    if figures["mismatches"]:
        raise typer.Exit(1)
