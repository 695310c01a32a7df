"""The real services in a directory of their own, and the processes that this benchmark runs against them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from everlog.cli.addresses import environment, settings_tables
from everlog.cli.children import service
from everlog.cli.composition import new_id
from everlog.cli.services import initialise
from everlog.local.command_service import CommandService
from everlog.local.layout import Layout
from everlog.local.ports import Ports
from everlog.local.process import Child
from everlog.local.stack import Stack, addresses, start_service
from everlog.runtime.config import KafkaSettings, MongoSettings

ROOT: Final = Path(__file__).parents[2]
PEERS_PYTHON: Final = ROOT / ".venv-peers/bin/python"
"""The environment of what cannot be installed beside us; ``make bench NAME=projector`` makes it."""
CONSUMER_TIMEOUT_S: Final = 300.0
"""A consumer that takes longer hangs."""


class Finished(NamedTuple):
    """What a consumer's process says at its end."""

    seconds: float
    handled: int
    accepted: int

    @property
    def per_s(self) -> float:
        """Records a second. Raises ``ValueError`` unless every record was accepted: the rest would be cheap."""
        if self.accepted != self.handled:
            raise ValueError(f"only {self.accepted} of {self.handled} records were accepted")
        return self.handled / self.seconds


class Stage(NamedTuple):
    """Where the services run; this process's environment names them."""

    layout: Layout
    ports: Ports

    def use_log(self, name: str) -> None:
        """Make a topic and databases of this name, the ones that all settings name from now on."""
        os.environ[KafkaSettings.variable("topic")] = f"bench.{name}"
        for field in ("view_database", "control_database"):
            os.environ[MongoSettings.variable(field)] = f"bench_{name}_{field}"
        initialise()

    def consume(self, module: str, records: int, python: Path = Path(sys.executable)) -> Finished:
        """Run a consumer of this package in a new group. Raises ``CalledProcessError``, ``TimeoutExpired``."""
        with (self.layout.root / f"{module}.log").open("wb") as log, tempfile.TemporaryDirectory() as scratch:
            done = subprocess.run(
                [python, "-m", f"benchmarks.projector.{module}", str(records), new_id()],
                cwd=scratch,  # Faust and quixstreams make directories
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=log,
                timeout=CONSUMER_TIMEOUT_S,
                check=True,
            )
        return Finished(**json.loads(done.stdout.splitlines()[-1]))

    @contextlib.contextmanager
    def projector(self) -> Iterator[Child]:
        """The real ``everlog projector``, ready, in a process of its own.

        Without the static membership of a single local worker: the next log begins before the group forgets the last.
        """
        extra = service("projector", self.ports, self.layout.root)
        extra = extra.model_copy(update={"environment": {}})  # this process's own is inherited
        child = start_service(CommandService(extra, self.layout))
        try:
            yield child
        finally:
            child.stop()


@contextlib.contextmanager
def open_stage() -> Iterator[Stage]:
    """Start the services; stop them and delete everything at the end."""
    directory = Path(tempfile.mkdtemp(prefix="everlog-bench-"))
    ports = Ports.free()
    with contextlib.ExitStack() as closing:
        closing.callback(shutil.rmtree, directory, ignore_errors=True)
        stack = closing.enter_context(Stack(directory, ports))
        os.environ.update(environment(settings_tables(addresses(stack.layout, ports), ports), directory))
        yield Stage(stack.layout, ports)
