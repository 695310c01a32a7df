"""Our worker with a sink that folds and stores nothing. Arguments: how many records, group."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence

from benchmarks.projector.work import Work
from everlog.ports.log import LogRecord
from everlog.projector.worker import ProjectorWorker
from everlog.runtime.config import KafkaSettings


class FoldingSink:
    """A ``BatchSink``."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """From the beginning."""
        return dict.fromkeys(partitions, 0)

    async def revoked(self, partitions: Sequence[int]) -> None:
        """Nothing is kept by partition."""

    async def verify(self, partition: int) -> None:
        """Nothing is stored."""

    async def apply(self, partition: int, records: Sequence[LogRecord]) -> None:
        """Fold a batch."""
        for record in records:
            self._work.handle(record.value)


async def consume(expected: int, group: str) -> None:
    """Fold the topic from its beginning."""
    settings = KafkaSettings.load()
    sink = FoldingSink(Work(expected))
    await ProjectorWorker(brokers=settings.brokers, topic=settings.topic_name, group=group, sink=sink).run()


if __name__ == "__main__":
    asyncio.run(consume(int(sys.argv[1]), sys.argv[2]))
