"""Python's cyclic garbage collector in a process that folds, or answers, all day."""

from __future__ import annotations

import gc
from typing import Final

YOUNG_OBJECTS: Final = 50_000
"""Containers that a process may gather before the collector looks at the young ones: some 5 MiB."""
YOUNG_ROUNDS: Final = 20
"""Looks at the young ones before one at the middle-aged."""
MIDDLE_ROUNDS: Final = 50
"""Looks at the middle-aged ones before one at all: with a full cache of states that takes a second or more."""


def relax_collector() -> None:
    """Collect seldom; call it once, when a service has started.

    Folding makes no cycles: what it drops is freed at once by its reference count, what it keeps (timeline entries,
    outcomes, states) lives until its batch is stored. With CPython's 700 the collector walks through several hundred of
    them for every 700 made, finds nothing, and takes 8 % of the fold (measured with ``make bench NAME=fold``). What
    asyncio and the drivers leave in cycles, mostly errors with their tracebacks, waits a little longer. What the start
    left behind, modules and classes, is never looked at again (``gc.freeze``). The gateway's requests drop what they
    made as well; there, each look at everything stopped it for 0.2 s (``make bench NAME=append``).

    Source: https://docs.python.org/3/library/gc.html, ``gc.set_threshold`` and ``gc.freeze``.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS, MIDDLE_ROUNDS)
