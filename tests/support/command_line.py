"""The ``everlog`` command as people run it: a process with its own directory and ports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everlog.local.ports import Ports, is_free

TIMEOUT_S = 180.0


def free_base() -> int:
    """A base from which the ports of all local services are free."""
    for base in range(20_000, 32_000, 40):
        if all(is_free(port) for port in Ports.fixed(base).all()):
            return base
    raise AssertionError("no free ports")


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """Runs commands against the local services of a directory."""

    directory: Path
    port_base: int

    def __call__(self, *arguments: str, timeout_s: float = TIMEOUT_S) -> Finished:
        """Run ``everlog`` with arguments; any exit code is an answer."""
        done = subprocess.run(
            [sys.executable, "-m", "everlog.cli", *arguments],
            env=self.environment,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str) -> Finished:
        """Run a command that must succeed."""
        done = self(*arguments)
        assert done.code == 0, f"everlog {' '.join(arguments)} ended with {done.code}: {done.err}"
        return done

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the command: this directory and these ports, nothing else of Everlog."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EVERLOG_")}
        return {
            **kept,
            "EVERLOG_LOCAL__DIRECTORY": str(self.directory),
            "EVERLOG_LOCAL__PORT_BASE": str(self.port_base),
            "NO_COLOR": "1",
        }
