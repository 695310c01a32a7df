"""A projector worker in a process of its own, whose sink is a journal file: run by test_faust_worker.

Usage: ``python faust_worker_process.py <brokers> <topic> <group> <journal>``. Each applied batch is one
appended line ``partition first next``, which is effect and watermark in one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from everlog.ports.log import LogRecord
from everlog.projector.worker import ProjectorWorker


class JournalSink:
    """Appends a line per batch; ``kill -9`` leaves whole lines or none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    async def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        starts = dict.fromkeys(partitions, 0)
        for line in self._path.read_text().splitlines():
            partition, _, following = map(int, line.split())
            if partition in starts:
                starts[partition] = following
        return starts

    async def revoked(self, partitions: Sequence[int]) -> None: ...

    async def verify(self, partition: int) -> None: ...

    async def apply(self, partition: int, records: Sequence[LogRecord]) -> None:
        await asyncio.sleep(0.02)  # the stores' time, so that a kill finds the worker at work
        os.write(self._file, f"{partition} {records[0].offset} {records[-1].offset + 1}\n".encode())


async def main(brokers: str, topic: str, group: str, journal: str) -> None:
    worker = ProjectorWorker(
        brokers=brokers, topic=topic, group=group, sink=JournalSink(Path(journal)), session_timeout_s=6
    )
    stopping: list[asyncio.Task[None]] = []
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, lambda: stopping.append(asyncio.create_task(worker.stop()))
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
