"""The garbage collector of a process that folds."""

from __future__ import annotations

import gc

from everlog.runtime.collector import YOUNG_OBJECTS, relax_collector


def test_a_relaxed_collector_looks_seldom_and_never_at_what_the_start_left() -> None:
    thresholds = gc.get_threshold()
    try:
        relax_collector()
        assert gc.isenabled()
        assert gc.get_threshold()[0] == YOUNG_OBJECTS
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
