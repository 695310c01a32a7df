"""Times on the log: RFC 3339, UTC, at most nanoseconds."""

from __future__ import annotations

from typing import Final

TIME_PATTERN: Final = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?Z$"
"""The form, not the calendar: nothing is decided by a producer's clock."""
