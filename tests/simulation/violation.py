"""What a schedule found that the law forbids."""

from __future__ import annotations


class Violation(AssertionError):  # noqa: N818 (it is a finding)
    """The log, a state or an answer is not what the law says."""


def demand(holds: bool, what: str) -> None:
    """Raise ``Violation`` unless something holds."""
    if not holds:
        raise Violation(what)
