"""Where each owned partition stands: the safety of the worker, without Kafka or Faust.

A chunk of records is applied only from the cursor on and without a hole; the cursor moves only when the sink has
answered. So it does not matter what the layers below repeat, drop or fetch too early: what is fetched twice is cut off
here, and a hole never gets through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from everlog.ports.log import LogRecord
from everlog.projector.ports import ResumeError


class Cursors:
    """The next offset to apply of every owned partition."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}
        self._seeking: set[int] = set()

    def place(self, starts: Mapping[int, int]) -> None:
        """Set the cursors of these partitions; chunks fetched before the seek are passed over from now on."""
        self._next.update(starts)
        self._seeking.update(starts)

    def drop(self, partitions: Iterable[int]) -> None:
        """Forget partitions that are no longer owned; their chunks are passed over."""
        for partition in partitions:
            self._next.pop(partition, None)
            self._seeking.discard(partition)

    def next_offset(self, partition: int) -> int | None:
        """The next offset to apply; None for a partition that is not owned or not placed yet."""
        return self._next.get(partition)

    def owned(self) -> list[int]:
        """The placed partitions, ascending."""
        return sorted(self._next)

    def due(self, partition: int, records: Sequence[LogRecord]) -> Sequence[LogRecord]:
        """The part of a fetched chunk that is to be applied now, empty if nothing of it is.

        Records below the cursor were applied before. A chunk beyond the cursor is passed over while the seek that
        placed the cursor has not been answered by a chunk that holds it; later it is a hole.
        Raises ``ResumeError`` for a hole before or inside the chunk.
        """
        cursor = self._next.get(partition)
        first, last = records[0].offset, records[-1].offset
        if cursor is None or last < cursor:
            return ()
        if first > cursor:
            if partition in self._seeking:
                return ()
            raise ResumeError(f"Partition {partition} goes on at offset {first} instead of {cursor}")
        if last - first + 1 != len(records):
            raise ResumeError(f"Partition {partition} has a hole between offsets {first} and {last}")
        self._seeking.discard(partition)
        return records[cursor - first :]

    def advance(self, partition: int, applied: Sequence[LogRecord]) -> None:
        """Move the cursor behind records that all stores have answered for."""
        if partition in self._next:
            self._next[partition] = applied[-1].offset + 1
