"""A command given by the caller, run like a service: the Everlog services themselves, and their set-up."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass
from pathlib import Path

from everlog.local.layout import Layout
from everlog.local.process import Command
from everlog.local.spec import ExtraService

# The Everlog services drain on TERM: what they hold is flushed and answered first.
_STOP_TIMEOUT_S = 20.0
_REQUEST_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class CommandService:
    """An ``ExtraService`` in its place."""

    extra: ExtraService
    layout: Layout

    @property
    def name(self) -> str:
        """As the caller named it."""
        return self.extra.name

    @property
    def log(self) -> Path:
        """The file that takes its output."""
        return self.extra.log or self.layout.log(self.name)

    def prepare(self) -> None:
        """Nothing: the command brings all it needs."""

    def command(self) -> Command:
        """The command, with its temporary files in the data directory."""
        temporary = self.layout.temporary(self.name)
        return Command(
            name=self.name,
            argv=self.extra.argv,
            log=self.log,
            directory=temporary,
            environment={"TMPDIR": str(temporary), **self.extra.environment},
            stop_timeout_s=_STOP_TIMEOUT_S,
        )

    def probe(self) -> None:
        """The ready address answers 200; without one there is nothing to ask."""
        if self.extra.ready_url is None:
            return
        with urllib.request.urlopen(self.extra.ready_url, timeout=_REQUEST_TIMEOUT_S) as answer:  # noqa: S310
            answer.read()
