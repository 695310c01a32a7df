"""Sessions beside other ways to keep them: Google ADK's ``DatabaseSessionService`` and an aggregate of eventsourcing.

What each does for an append and a read is said in the modules of the same names; ``plan`` has the work, the same for
all. The peers run in an environment of their own, so nothing is imported here but what all of them have.
"""

from __future__ import annotations


def measure() -> dict[str, float]:
    """The metrics."""
    from benchmarks.sessions.comparison import compare

    return compare()
