"""The benchmarks' door: what it takes and what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_benchmark_that_there_is_not_is_named_with_those_that_there_are() -> None:
    command = [sys.executable, "-m", "benchmarks.run", "nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "fold, projector" in done.stderr


def test_what_the_projector_is_compared_with_is_no_dependency_of_the_product() -> None:
    assert "quixstreams" not in (ROOT / "requirements.lock").read_text()
    assert "\nquixstreams==" in (ROOT / "benchmarks/requirements.lock").read_text()
