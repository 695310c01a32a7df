"""The projector beside other ways to consume the same log: rates, time to visibility, memory.

Each consumer is a module that runs in a process of its own, quixstreams in an environment of its own: so nothing is
imported here but what all of them have.
"""

from __future__ import annotations


def measure() -> dict[str, float]:
    """The metrics."""
    from benchmarks.projector.comparison import compare

    return compare()
