"""An ordinary Faust agent, a record at a time, states in memory. Arguments: how many records, group."""

from __future__ import annotations

import sys

import faust
from faust.types import StreamT

from benchmarks.projector.work import Work
from everlog.runtime.config import KafkaSettings


def consume(expected: int, group: str) -> None:
    """Fold the topic from its beginning."""
    settings, work = KafkaSettings.load(), Work(expected)
    app = ordinary_app(group, settings)

    async def fold(stream: StreamT[bytes]) -> None:
        async for value in stream:
            work.handle(value)

    app.agent(app.topic(settings.topic_name, value_serializer="raw", key_serializer="raw"), name="fold")(fold)
    run(app)


def ordinary_app(group: str, settings: KafkaSettings) -> faust.App:
    """An app as Faust's user guide makes one; without a web server and a topic for its leader, which cost time."""
    return faust.App(
        group,
        broker=f"kafka://{settings.brokers}",
        consumer_auto_offset_reset="earliest",
        store="memory://",
        topic_disable_leader=True,
        web_enabled=False,
    )


def run(app: faust.App) -> None:
    """What ``faust worker`` does."""
    faust.Worker(app, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    consume(int(sys.argv[1]), sys.argv[2])
