"""The folder that everything local lives in: data, logs, temporary files and the supervisor's own files."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from everlog.schemas.errors import ConfigurationError

# Kafka's first segments and indexes take 50 MB, SeaweedFS's first volumes 100 MB; below this the services start
# and then fail one by one with errors that name no cause.
MINIMUM_FREE_BYTES = 512 * 1024 * 1024
SETTING = "EVERLOG_LOCAL__DIRECTORY"


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of all files below ``root``."""

    root: Path

    @property
    def state(self) -> Path:
        """What runs: written by the supervisor only."""
        return self.root / "state.json"

    @property
    def spec(self) -> Path:
        """What should run: written by ``up``, read by the supervisor."""
        return self.root / "spec.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as it lives; holds its process id."""
        return self.root / "lock"

    @property
    def command_lock(self) -> Path:
        """Held by ``up`` and ``down``, so that two of them never interleave."""
        return self.root / "command.lock"

    def data(self, service: str) -> Path:
        """The folder of a service's data and configuration."""
        return self._folder("data", service)

    def temporary(self, service: str) -> Path:
        """The folder a service uses instead of the system's temporary one; also its working directory."""
        return self._folder("tmp", service)

    def log(self, service: str) -> Path:
        """The file that takes a service's output."""
        return self._folder("logs") / f"{service}.log"

    def _folder(self, *parts: str) -> Path:
        folder = self.root.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def clear_temporary(self) -> None:
        """Delete what the services left in their temporary folders."""
        shutil.rmtree(self.root / "tmp", ignore_errors=True)


def open_layout(root: Path) -> Layout:
    """Create the folder, readable by its owner only, and check that services can live in it.

    Raises:
        ConfigurationError: not writable, or too little free space.
    """
    root = root.expanduser().absolute()
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = root / f".write-check-{os.getpid()}"
        probe.write_bytes(b"everlog")
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"The data directory {root} cannot be written: {error.strerror}",
            hint=f"Make it writable, or name another one in {SETTING}",
        ) from error
    free = shutil.disk_usage(root).free
    if free < MINIMUM_FREE_BYTES:
        raise ConfigurationError(
            f"The disk of {root} has {free >> 20} MiB free, the local services need {MINIMUM_FREE_BYTES >> 20} MiB",
            hint=f"Free some space, or name a directory on another disk in {SETTING}",
        )
    return Layout(root)
