"""Times on the log: RFC 3339, UTC, at most nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

TIME_PATTERN: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?Z$"
)
"""The form, not the calendar: nothing is decided by a producer's clock.

Digits are spelled out: what a ``\\d`` takes depends on the Unicode version of whoever reads.
"""


def as_text(time: datetime) -> str:
    """A time as the log has it, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
