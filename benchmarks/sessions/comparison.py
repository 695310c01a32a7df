"""Who keeps sessions how fast: the peers, each in a process of its own, then Everlog; one after another."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.projector.stage import PEERS_PYTHON, ROOT
from benchmarks.sessions import ours
from everlog.cli.demo.stage import open_stage

PEERS: Final = {"adk": "adk", "eventsourcing": "sourcing"}
"""The metrics' prefix, and the module."""
PEER_TIMEOUT_S: Final = 180.0


def compare() -> dict[str, float]:
    """The metrics."""
    if not PEERS_PYTHON.exists():
        raise FileNotFoundError(f"{PEERS_PYTHON} is made by: make bench NAME=sessions")
    measured = {prefix: _peer(module) for prefix, module in PEERS.items()}
    with open_stage(Path(tempfile.mkdtemp(prefix="everlog-bench-"))) as stage:
        measured["everlog"] = asyncio.run(ours.measure(stage.gateway_url))
    return {f"{prefix}_{name}": value for prefix, metrics in measured.items() for name, value in metrics.items()}


def _peer(module: str) -> dict[str, float]:
    """What a peer's process says. Raises ``CalledProcessError``, ``TimeoutExpired``."""
    with tempfile.TemporaryDirectory(prefix="everlog-bench-") as scratch:
        done = subprocess.run(
            [PEERS_PYTHON, "-m", f"benchmarks.sessions.{module}", scratch],
            cwd=scratch,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            timeout=PEER_TIMEOUT_S,
            check=True,
        )
    metrics: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{module}: {metrics}", file=sys.stderr)
    return metrics
