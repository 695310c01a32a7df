"""Run one benchmark: ``python -m benchmarks.run fold``.

The last line on stdout is one JSON object with the benchmark's name, the commit, the machine and the metrics.
Everything else goes to stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
NAMES: Final = ("append", "fold", "projector", "sessions", "streams")
"""The benchmarks that there are."""


def main(arguments: list[str]) -> int:
    """Run the benchmark that the arguments name; exit code 2 for another name."""
    if len(arguments) != 1 or arguments[0] not in NAMES:
        print(f"Name one benchmark of: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    metrics: dict[str, float] = importlib.import_module(f"benchmarks.{arguments[0]}").measure()
    print(json.dumps({"benchmark": arguments[0], "commit": _commit(), "machine": _machine(), "metrics": metrics}))
    return 0


def _commit() -> str:
    """The commit, with a ``+`` where the working tree differs from it; empty outside a repository."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False).stdout.strip()


def _machine() -> dict[str, str | int | None]:
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
