"""Servers of these tests' own, and which runs there are: ``CHAOS_RUNS=20 SEED=7 pytest -m chaos tests/chaos``."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from chaos.schedule import FIXED_SEEDS, LONG_WINDOW_S, SHORT_WINDOW_S
from chaos.servers import Servers


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Three short runs of known seeds, or as many long ones as are asked for."""
    if {"seed", "window_s"} <= set(metafunc.fixturenames):
        runs = int(os.environ.get("CHAOS_RUNS") or 0)
        first = int(os.environ.get("SEED") or secrets.randbits(31))
        cases = [(seed, LONG_WINDOW_S) for seed in range(first, first + runs)]
        metafunc.parametrize(("seed", "window_s"), cases or [(seed, SHORT_WINDOW_S) for seed in FIXED_SEEDS])


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Real servers that may be killed."""
    servers = Servers(tmp_path_factory.mktemp("servers"))
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()
