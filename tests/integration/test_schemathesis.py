"""The real gateway does what its OpenAPI document says: fuzzed with all checks of schemathesis.

``SCHEMATHESIS_SECONDS`` (25) is the time of the longer run, ``SCHEMATHESIS_EXAMPLES`` (10) how many requests of a kind.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.running import Running

pytestmark = pytest.mark.integration

CONFIG = Path(__file__).with_name("schemathesis.toml")
SECONDS = int(os.environ.get("SCHEMATHESIS_SECONDS", "25"))
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "10"))
STREAMS = ("--include-path", "/v1/sessions/{session}/stream", "--phases", "examples,coverage,fuzzing")
"""A stream of a session that is there never ends: a tenant that has none asks for it."""
ALL_ELSE = ("--exclude-path", "/v1/sessions/{session}/stream")


@pytest.mark.parametrize(
    ("operations", "tenant"), [(ALL_ELSE, "acme"), (STREAMS, "nobody")], ids=["all but streams", "streams"]
)
def test_nothing_is_found_that_is_not_documented(
    running: Running, tmp_path: Path, operations: tuple[str, ...], tenant: str
) -> None:
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run"]
    command += [
        f"{running.gateway}/openapi.json",
        "-H",
        f"Authorization: Bearer {running.token(tenant=tenant)}",
        *operations,
    ]
    bounds = [
        "--max-time",
        str(max(1, SECONDS // 4) if operations is STREAMS else SECONDS),
        "--max-examples",
        str(EXAMPLES),
        "--request-timeout",
        "15",
    ]
    done = subprocess.run(
        [*command, "--checks", "all", *bounds, "--no-shrink", "--continue-on-failure", "--rate-limit", "400/s"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS + 120,
    )
    seed = re.search(r"Seed: \d+", done.stdout)
    assert done.returncode == 0, f"{seed and seed[0]}\n{done.stdout[-12_000:]}{done.stderr}"
