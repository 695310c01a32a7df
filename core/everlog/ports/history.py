"""History: any session and any stretch of a partition, from the archive and then the log, without gap or overlap."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from everlog.domain.record import LogRecord
from everlog.domain.state import State
from everlog.domain.stored import TimelineEntry


class History(Protocol):
    """Reads what may no longer be warm or on the log.

    Every method raises ``UnavailableError`` and ``ArchiveDamagedError``; those that fold also ``FoldRaisedError``.
    """

    def partition(self, partition: int, first: int, until: int | None = None) -> AsyncIterator[Sequence[LogRecord]]:
        """The records of a partition from ``first`` to below ``until``, or to the log's end as it was when the reading
        began; chunks in offset order, without a hole."""

    async def state(self, key: str, *, at_version: int | None = None, until_offset: int | None = None) -> State | None:
        """The state of a session at a version, or folded from all records below an offset, or from all there are.

        None if the session did not exist then, or has not reached the version.
        """

    async def entries(self, key: str, first: int, last: int) -> list[TimelineEntry]:
        """Timeline entries of versions ``first`` to ``last`` inclusive, in order."""

    async def records(self, key: str, first: int, until: int, limit: int | None = None) -> list[LogRecord]:
        """A session's records from offset ``first`` on and below ``until``, in order; all of them in memory, or the
        first ``limit``."""
