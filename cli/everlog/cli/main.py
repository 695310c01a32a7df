"""Entry point of ``everlog``: groups the commands, turns errors into one sentence and an exit code.

Heavy imports live inside the commands, so that ``everlog --version`` and ``--help`` answer at once.
"""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from typing import Annotated, Final

import typer

from everlog.cli import archive, audit, conversations, demo, leases, local, projection, services, sessions
from everlog.schemas.errors import EverlogError

INTERRUPTED: Final = 130

app = typer.Typer(
    name="everlog",
    help="Keeps conversations for ever: Kafka log, Redis and MongoDB projections, S3 archive.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
local.register(app)
services.register(app)
sessions.register(app)
conversations.register(app)
demo.register(app)
app.add_typer(archive.app)
app.add_typer(audit.app)
app.add_typer(leases.app)
app.add_typer(projection.app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"everlog {version('everlog')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keeps conversations for ever."""
    from everlog.runtime.logging import configure

    configure("everlog", level="WARNING", for_people=True)


class Interrupted(BaseException):
    """SIGINT came; not a ``KeyboardInterrupt``, which typer would answer with exit code 1."""


def _interrupt(*_: object) -> None:
    raise Interrupted


def main() -> None:
    """Run the command line; exits with one of the documented codes."""
    signal.signal(signal.SIGINT, _interrupt)
    try:
        app()
    except EverlogError as error:
        typer.echo(f"everlog: {error}", err=True)
        sys.exit(error.exit_code)
    except Interrupted:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
