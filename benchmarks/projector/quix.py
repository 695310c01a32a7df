"""quixstreams, a record at a time, states in memory and nothing serialised. Arguments: how many records, group.

Runs in an environment of its own: it and we want different versions of pydantic.
"""

from __future__ import annotations

import sys

from quixstreams import Application

from benchmarks.projector.work import Work
from everlog.runtime.config import KafkaSettings


def consume(expected: int, group: str) -> None:
    """Fold the topic from its beginning."""
    settings, work = KafkaSettings.load(), Work(expected)
    application = Application(
        broker_address=settings.brokers,
        consumer_group=group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        loglevel="WARNING",
    )
    topic = application.topic(settings.topic_name, key_deserializer="bytes", value_deserializer="bytes")
    application.dataframe(topic).apply(work.handle)
    application.run()


if __name__ == "__main__":
    consume(int(sys.argv[1]), sys.argv[2])
