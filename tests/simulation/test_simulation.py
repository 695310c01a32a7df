"""Fifty writers with retries, stalls and lost answers, and a projector that crashes: what an answer said, the log says.

    SCHEDULES=10000 SEED=7 pytest tests/simulation      or   make simulation SCHEDULES=10000 SEED=7

A failure names the seed of its schedule, and that schedule alone runs again with ``SCHEDULES=1 SEED=<that>``.
That the simulation can fail is shown by breaking the law on purpose, and by what finds it:

    broken                                            found as
    the ring remembers nothing                        a retry that is applied twice
    an epoch is never compared                        a zombie whose dead epoch goes through
    a stale key is never compared                     a patch onto a key that has changed
    a stale version is never compared                 an append that insisted on another version
    what a document's position says is not skipped    a verdict that changes when a batch comes again
    a door gives a retry an id of its own             a wish that is granted twice
    every seventh message is refused, as by a lock    an append that commutes and is refused
    rejections are forgotten between batches          a document or verdict that depends on the cuts
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from everlog.domain import fold as law
from everlog.domain.decide import decide
from everlog.domain.event import Event
from everlog.domain.fold import SessionFold
from everlog.domain.registry import RULES_1
from everlog.domain.standing import Standing
from everlog.domain.stored import Loaded
from everlog.domain.verdicts import Accepted, Reason, Rejected, Verdict
from simulation import writer
from simulation.schedule import run_schedule
from simulation.violation import Violation

BROKEN_SCHEDULES = 40
"""Each break below is found in the first of them, or nearly."""
ENOUGH_FOR_EVERY_KIND = 200
"""Schedules: the rarest kind, an erased session, comes in every tenth."""
EVERY_KIND = {"accepted", "duplicate", "fenced", "held", "version_conflict", "key_conflict", "retry_expired", "erased"}


def run(seed: int) -> Counter[str]:
    try:
        return run_schedule(seed)
    except Exception as error:
        raise AssertionError(f"seed {seed}; repeat it with SCHEDULES=1 SEED={seed}") from error


def test_what_an_answer_said_the_log_says(seeds: range) -> None:
    verdicts = Counter[str]()
    for seed in seeds:
        verdicts += run(seed)
    print(f"{len(seeds)} schedules from seed {seeds.start} on: {dict(verdicts)}")  # noqa: T201
    if len(seeds) >= ENOUGH_FOR_EVERY_KIND:
        assert set(verdicts) >= EVERY_KIND


def test_a_seed_repeats_its_schedule() -> None:
    assert run(11) == run(11)
    assert run(11) != run(12)


def without_memory() -> AbstractContextManager[Any]:
    return patch("everlog.domain.ring.Ring.remember")


def without_epochs() -> AbstractContextManager[Any]:
    return patch("everlog.domain.decide._is_fenced", return_value=False)


def without_key_versions() -> AbstractContextManager[Any]:
    return patch("everlog.domain.types.state.StatePatched.conflict", return_value=())


def without_versions() -> AbstractContextManager[Any]:
    def anything_goes(standing: Standing | None, event: Event) -> Verdict:
        return decide(standing, msgspec.structs.replace(event, expected_version=None))

    return rules(anything_goes)


def without_positions() -> AbstractContextManager[Any]:
    return folding(offset=-1, outcomes=[])


def without_ids() -> AbstractContextManager[Any]:
    original = writer.value_of

    def value_of(handover: Any, is_retry: bool) -> bytes:
        value = original(handover, is_retry)
        return value.replace(b'"id":"', b'"id":"again-', 1) if is_retry else value

    return patch("simulation.writer.value_of", value_of)


def with_a_lock() -> AbstractContextManager[Any]:
    def decide_by_lock(standing: Standing | None, event: Event) -> Verdict:
        verdict = decide(standing, event)
        if isinstance(verdict, Accepted) and verdict.version % 7 == 0 and event.type.endswith("message.appended.v1"):
            return Rejected(Reason.VERSION_CONFLICT, verdict.version - 1)
        return verdict

    return rules(decide_by_lock)


def without_rejections() -> AbstractContextManager[Any]:
    original = law.fold_session

    def fold_session(key: str, loaded: Loaded | None, *rest: Any) -> SessionFold:
        if loaded is not None and loaded.stored.state is not None:
            loaded.stored.state.standing.ring.rejected.clear()
        return original(key, loaded, *rest)

    return patch("everlog.domain.fold.fold_session", fold_session)


def rules(judge: Callable[[Standing | None, Event], Verdict]) -> AbstractContextManager[Any]:
    """Fold under other rules."""
    return patch.dict("everlog.domain.law.LAW._books", {1: RULES_1._replace(decide=judge)})


def folding(**changes: Any) -> AbstractContextManager[Any]:
    """Fold onto documents that say something else of themselves."""
    original = law.fold_session

    def fold_session(key: str, loaded: Loaded | None, *rest: Any) -> SessionFold:
        if loaded is not None:
            loaded.stored = msgspec.structs.replace(loaded.stored, **changes)
        return original(key, loaded, *rest)

    return patch("everlog.domain.fold.fold_session", fold_session)


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        (without_memory, "applied twice"),
        (without_epochs, "a dead epoch went through"),
        (without_key_versions, "a stale key went through"),
        (without_versions, "a stale version went through"),
        (without_positions, "the verdict on offset .* changed"),
        (without_ids, "applied twice"),
        (with_a_lock, "an append that commutes was refused"),
        (without_rejections, "depends on the batch|the verdict on offset .* changed"),
    ],
)
def test_a_broken_law_is_found(broken: Callable[[], AbstractContextManager[Any]], found: str) -> None:
    with pytest.raises(Violation, match=found), broken():
        for seed in range(BROKEN_SCHEDULES):
            run_schedule(seed)
