"""Everything around the projector breaks, and in the end every store says what the log says.

    make chaos CHAOS_RUNS=20 SEED=7

docs/reference/chaos.md says what is broken, what is compared, and what this has found.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from chaos.run import run_chaos
from chaos.schedule import FIXED_SEEDS, LONG_WINDOW_S, SHORT_WINDOW_S, Kind, draw
from chaos.servers import Servers

pytestmark = [pytest.mark.integration, pytest.mark.chaos]


async def test_whatever_breaks_the_stores_come_to_say_what_the_log_says(
    servers: Servers, seed: int, window_s: float
) -> None:
    directory = Path(tempfile.mkdtemp(prefix=f"everlog-chaos-{seed}-"))  # kept when the run fails
    print(await run_chaos(servers, seed, window_s, directory))  # noqa: T201
    shutil.rmtree(directory)


def test_the_fixed_seeds_break_everything_that_can_be_broken() -> None:
    assert {fault.kind for seed in FIXED_SEEDS for fault in draw(seed, SHORT_WINDOW_S)} == set(Kind)


def test_a_seed_repeats_its_schedule() -> None:
    assert draw(7, LONG_WINDOW_S) == draw(7, LONG_WINDOW_S)
    assert draw(7, LONG_WINDOW_S) != draw(8, LONG_WINDOW_S)
