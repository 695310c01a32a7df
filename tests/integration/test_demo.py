"""The demo on a few conversations: the whole job, its figures, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

FIGURES = {
    "sessions", "messages", "events", "append_per_s", "gateway_append_p50_ms", "visible_p99_ms", "segments",
    "archive_bytes", "raw_bytes", "trimmed_events", "evicted_sessions", "rehydrated_sessions", "rehydrate_p99_ms",
    "mismatches", "seconds",
}  # fmt: skip


def test_the_demo_brings_every_conversation_back_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "everlog.cli", "demo", "--conversations", "30", "--json"],
        env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert set(figures) == FIGURES
    assert (figures["sessions"], figures["evicted_sessions"], figures["rehydrated_sessions"]) == (30, 30, 30)
    assert figures["mismatches"] == 0
    assert figures["trimmed_events"] == figures["events"] > figures["messages"]
    assert "stand-in for MongoDB" in done.stderr
    assert list(tmp_path.iterdir()) == []
