"""What every local service is to the stack and the supervisor: prepared, run, asked whether it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from everlog.local import programs
from everlog.local.downloads import JarCache
from everlog.local.layout import Layout
from everlog.local.ports import Ports
from everlog.local.process import Command
from everlog.local.settings import LocalSettings


class Service(Protocol):
    """A server that runs as one child process."""

    @property
    def name(self) -> str:
        """Its name in commands, logs and folders."""

    def prepare(self) -> None:
        """Download what is missing, write the configuration, create the storage. Repeated before every start."""

    def command(self) -> Command:
        """How to run it."""

    def probe(self) -> None:
        """One real request; raises while the service is not ready."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where services run, and with which programs."""

    layout: Layout
    ports: Ports
    settings: LocalSettings

    @property
    def jar_cache(self) -> JarCache:
        """The downloaded Java parts, shared by all data directories of a user."""
        return JarCache(self.settings.cache.expanduser(), self.settings.repositories)

    def java(self, service: str, *options: str) -> tuple[str, ...]:
        """A Java command line up to the class path; it leaves nothing in the system's temporary folder."""
        temporary = self.layout.temporary(service)
        program = programs.java(self.settings.java_home)
        # Performance data would be a file in /tmp; C1 alone starts twice as fast and needs less memory.
        fixed = ("-XX:-UsePerfData", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Djava.io.tmpdir={temporary}")
        return (str(program), *fixed, *options)

    def command(
        self,
        service: str,
        argv: tuple[str, ...],
        *,
        stop_timeout_s: float,
        environment: Mapping[str, str] | None = None,
        leftovers: tuple[Path, ...] = (),
    ) -> Command:
        """A command that logs to the service's file and works in its temporary folder."""
        temporary = self.layout.temporary(service)
        return Command(
            name=service,
            argv=argv,
            log=self.layout.log(service),
            directory=temporary,
            environment={"TMPDIR": str(temporary), **(environment or {})},
            stop_timeout_s=stop_timeout_s,
            leftovers=leftovers,
        )
