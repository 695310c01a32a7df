"""What the log side of the projector and the folding side know of each other.

The worker (Kafka, Faust) calls a ``BatchSink``; the sink (decode, fold, stores) knows nothing of Kafka. A rebuild, a
test or a benchmark may call the same sink.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from everlog.ports.log import LogRecord
from everlog.schemas.errors import EverlogError


class ResumeError(EverlogError):
    """The batch cannot go on from here: drop caches, read the watermark again, seek, back off.

    A sink raises it when its writes no longer find what they were computed from. The worker then asks
    ``BatchSink.assigned`` for the partition again and goes on at what it returns.
    """

    retryable: ClassVar[bool] = True
    exit_code: ClassVar[int] = 75


class BatchSink(Protocol):
    """Takes the records of the partitions that this process owns.

    Calls about one partition never overlap. ``assigned`` comes first; ``revoked`` comes last and only after the
    partition's ``apply`` has returned, failed or been cancelled. Any exception other than ``ResumeError`` ends the
    worker.
    """

    async def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Prepare these partitions; returns for each the offset to go on at, its watermark.

        May take as long as a rebuild from the archive; nothing of these partitions is fetched meanwhile, and the
        membership of the group is kept. Cancelled when the partitions are taken away or the worker stops.
        May raise ``ResumeError``: asked again after a pause.
        """

    async def revoked(self, partitions: Sequence[int]) -> None:
        """These partitions are no longer ours: forget what is cached of them, write nothing more."""

    async def verify(self, partition: int) -> None:
        """Look whether the stores are where this worker left them; called now and then while nothing comes.

        Raises ``ResumeError`` when they are not: a view was restored or emptied, or another owner went on.
        """

    async def apply(self, partition: int, records: Sequence[LogRecord]) -> None:
        """Fold records and store the result; returns when all stores have answered.

        ``records`` are dense and in offset order; the first one lies at the offset that ``assigned`` returned or
        right behind the batch before. Cancelled when a shutdown does not get an answer in time.
        Raises ``ResumeError`` to go on at the watermark, anything else to end the worker.
        """
