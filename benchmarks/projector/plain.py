"""A loop over aiokafka's ``getmany``: what Python and its driver can do at best. Arguments: how many records, group."""

from __future__ import annotations

import asyncio
import sys

from aiokafka import AIOKafkaConsumer

from benchmarks.projector.work import Work
from everlog.adapters.kafka.connection import client_arguments
from everlog.runtime.config import KafkaSettings


async def consume(expected: int, group: str) -> None:
    """Fold the topic from its beginning."""
    settings, work = KafkaSettings.load(), Work(expected)
    membership = {"group_id": group, "auto_offset_reset": "earliest"}
    async with AIOKafkaConsumer(settings.topic_name, **client_arguments(settings), **membership) as consumer:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    work.handle(record.value)


if __name__ == "__main__":
    asyncio.run(consume(int(sys.argv[1]), sys.argv[2]))
