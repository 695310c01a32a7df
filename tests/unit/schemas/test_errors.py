"""The tree of errors is the one that its page draws."""

from __future__ import annotations

import re

import pytest

from everlog.schemas import errors
from everlog.schemas.errors import (
    EverlogError,
    InvalidEventError,
    KeyConflictError,
    LeaseHeldError,
    LimitExceededError,
    OffsetTrimmedError,
    ParkedError,
    RejectedError,
    UnavailableError,
    UnknownOutcomeError,
    VersionConflictError,
)

CODES = {0, 1, 2, 3, 4, 5, 69, 75}
"""Exit codes of the command line that an error may end with."""


def drawn() -> dict[str, str]:
    """Class -> base, as the docstring draws it."""
    edges: dict[str, str] = {}
    above = {0: EverlogError.__name__}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([ │]*)[├└]── (.+)$", line)
        if found is None:
            continue
        depth = (len(found.group(1)) - 4) // 4 + 1
        names = re.findall(r"\b[A-Z]\w*Error\b", re.split(r"\s{3,}", found.group(2))[0])
        edges |= dict.fromkeys(names, above[depth - 1])
        above[depth] = names[-1]
    return edges


def real() -> dict[str, str]:
    """Class -> base, as it is."""
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, EverlogError)]
    return {each.__name__: each.__bases__[0].__name__ for each in classes if each is not EverlogError}


def test_the_drawn_tree_is_the_real_one() -> None:
    assert drawn() == real()


@pytest.mark.parametrize("name", [*real(), "EverlogError"])
def test_every_error_says_what_it_is_whether_to_try_again_and_how_a_command_ends(name: str) -> None:
    error = getattr(errors, name)
    assert name.endswith("Error")
    assert error.__doc__
    assert isinstance(error.retryable, bool)
    assert error.exit_code in CODES


def test_errors_carry_fields() -> None:
    assert InvalidEventError("wrong", errors=("a: b",)).errors == ("a: b",)
    limit = LimitExceededError("an event in bytes", maximum=10, actual=11)
    assert (limit.limit, limit.maximum, limit.actual) == ("an event in bytes", 10, 11)
    bound = LimitExceededError("labels")
    assert (bound.limit, bound.maximum, bound.actual) == ("labels", None, None)
    assert "would pass its limit of labels" in str(bound)
    conflict = VersionConflictError("other", actual_version=7, events=[{"version": 7}])
    assert (conflict.actual_version, conflict.events) == (7, [{"version": 7}])
    keys = KeyConflictError("other", keys=("city",), actual_version=7)
    assert (keys.keys, keys.actual_version, keys.events) == (("city",), 7, ())
    away = UnavailableError("kafka", "no answer", retry_after_s=2.5)
    assert (away.dependency, away.retry_after_s, away.retryable) == ("kafka", 2.5, True)
    trimmed = OffsetTrimmedError(3, 10, 20)
    assert (trimmed.partition, trimmed.offset, trimmed.start, trimmed.retryable) == (3, 10, 20, True)
    assert RejectedError("fenced", "refused").reason == "fenced"
    assert ParkedError("parked", version=4).version == 4
    assert (LeaseHeldError("held", epoch=4).epoch, LeaseHeldError("held").epoch) == (4, 0)


def test_a_write_of_unknown_outcome_may_be_repeated() -> None:
    assert issubclass(UnknownOutcomeError, UnavailableError)
    assert UnknownOutcomeError("kafka", "no answer").retryable


def test_a_message_says_what_happened_and_then_what_to_do() -> None:
    assert str(EverlogError("it broke")) == "it broke"
    assert str(EverlogError("it broke", hint="Mend it")) == "it broke. Mend it"
    error = VersionConflictError("the session is at version 7", actual_version=7)
    assert str(error).endswith("Read the session again, then decide whether the change still fits")
