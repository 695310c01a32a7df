"""A projector whose fold raises at poison, in a process of its own that can be killed: run by test_parking.

Usage: ``python ill_projector_process.py <directory of the tests>``, with the settings in the environment.
"""

from __future__ import annotations

import asyncio
import sys

import pytest

from everlog.cli.projector import run_projector

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    from support.poison import Poison

    Poison(pytest.MonkeyPatch())
    asyncio.run(run_projector(None))
