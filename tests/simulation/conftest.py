"""Size and seed of the simulation: ``SCHEDULES=10000 SEED=7 pytest tests/simulation``."""

from __future__ import annotations

import os
import secrets

import pytest

DEFAULT_SCHEDULES = 300
"""Some seconds: enough that each of the breaks below would be found many times over."""


@pytest.fixture(scope="session")
def seeds() -> range:
    """One seed for each schedule, from ``SEED`` on, else from a fresh one on."""
    first = int(os.environ.get("SEED") or secrets.randbits(32))
    return range(first, first + int(os.environ.get("SCHEDULES") or DEFAULT_SCHEDULES))
