"""A span per batch with a child per stage, and what the logs of a batch say; a span per event would cost more than it.

The spans of producers are linked, not parents: a batch has the events of many traces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog

from everlog.ports.log import LogRecord
from everlog.projector import metrics
from everlog.projector.ports import BatchSink
from everlog.runtime import tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Link

LINKS_MAX: Final = 32
"""Producers' spans that a batch links to: enough to find a batch from an event, few enough to export."""
TRACEPARENT: Final = "traceparent"
TRACEPARENT_BYTES: Final = 55
"""Length of one of version 00; a longer header is nobody's."""


class TracedSink:
    """A ``BatchSink`` that hands everything on to another one, each batch within a span."""

    def __init__(self, sink: BatchSink, generation: int) -> None:
        self._sink, self._generation = sink, generation

    async def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """See ``BatchSink``."""
        return await self._sink.assigned(partitions)

    async def revoked(self, partitions: Sequence[int]) -> None:
        """See ``BatchSink``."""
        await self._sink.revoked(partitions)

    async def verify(self, partition: int) -> None:
        """See ``BatchSink``."""
        await self._sink.verify(partition)

    async def apply(self, partition: int, records: Sequence[LogRecord]) -> None:
        """See ``BatchSink``; all logs meanwhile tell the partition, and the trace where there is one."""
        attributes = {
            "everlog.generation": self._generation,
            "everlog.partition": partition,
            "everlog.first_offset": records[0].offset,
            "everlog.records": len(records),
        }
        links = links_of(records) if tracing.is_on() else ()
        with tracing.span("projector.batch", attributes, links):
            trace_id = tracing.trace_id()
            told = {"trace_id": trace_id} if trace_id is not None else {}
            with structlog.contextvars.bound_contextvars(partition=partition, **told):
                await self._sink.apply(partition, records)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time a stage of a batch, and make it a span within the batch's."""
    with metrics.batch_seconds.labels(name).time(), tracing.span(f"projector.{name}"):
        yield


def note_batch(sessions: int, verdicts: Mapping[str, int]) -> None:
    """Tell the batch's span what came of it: how many sessions it touched, and verdicts by their name."""
    counts = {f"everlog.{name}": count for name, count in verdicts.items()}
    tracing.annotate({"everlog.sessions": sessions, "everlog.accepted": 0, "everlog.rejected": 0, **counts})


def links_of(records: Sequence[LogRecord]) -> list[Link]:
    """Links to the first ``LINKS_MAX`` different spans that the records' headers name."""
    found: dict[bytes, Link] = {}
    for record in records:
        for name, value in record.headers:
            if name != TRACEPARENT or value is None or value in found or len(value) > TRACEPARENT_BYTES:
                continue
            link = tracing.link_to(value.decode("ascii", "replace"))
            if link is not None:
                found[value] = link
                if len(found) == LINKS_MAX:
                    return list(found.values())
    return list(found.values())
