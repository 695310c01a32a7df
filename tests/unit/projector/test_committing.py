"""What may be committed and where reading goes on, without a broker: the cursors, which follow the sink."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from everlog.ports.log import LogRecord, Record
from everlog.projector.cursors import Cursors
from everlog.projector.ports import ResumeError
from everlog.projector.transport import Consumer
from everlog.projector.worker import ProjectorWorker

TOPIC = "events"
FIRST = TP(TOPIC, 0)
COMMITTED = 77
"""What the group has committed: behind what was applied, or beyond it, and never asked."""


def records(first: int, until: int) -> list[Record]:
    return [Record(0, offset, 1, b"acme/rome", b"x") for offset in range(first, until)]


class Still(Consumer):
    """Our consumer, without the machinery below it."""

    def __init__(self, cursors: Cursors, assigned: Collection[TP]) -> None:
        self.transport = SimpleNamespace(cursors=cursors)  # type: ignore[assignment]
        self._assigned = set(assigned)
        self._acked, self._acked_index = defaultdict(list), defaultdict(set)
        self._committed_offset = dict.fromkeys(assigned, COMMITTED)
        self.sought: dict[TP, int] = {}

    def assignment(self) -> set[TP]:
        return self._assigned

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        self.sought |= partitions


def still(cursors: Cursors) -> Still:
    return Still(cursors, [FIRST, TP(TOPIC, 1)])


async def test_an_assignment_is_sought_to_the_cursors_and_not_to_the_groups_offsets() -> None:
    cursors = Cursors()
    cursors.place({0: 5, 1: 0})
    consumer = still(cursors)
    await consumer.perform_seek()
    assert consumer.sought == {FIRST: 5, TP(TOPIC, 1): 0}


def test_what_may_be_committed_is_the_cursor_whatever_was_acknowledged() -> None:
    cursors = Cursors()
    consumer = still(cursors)
    assert consumer._new_offset(FIRST) is None
    cursors.place({0: 5})
    consumer._acked[FIRST] = [5, 6, 7, 8]
    assert consumer._new_offset(FIRST) == 5
    cursors.advance(0, records(5, 9))
    assert consumer._new_offset(FIRST) == 9


class Sink:
    """Answers when it is told to."""

    def __init__(self, watermark: int = 0) -> None:
        self.watermark, self.applied = watermark, list[tuple[int, int]]()
        self.begun, self.answer = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        return dict.fromkeys(partitions, self.watermark)

    async def revoked(self, partitions: Sequence[int]) -> None: ...

    async def verify(self, partition: int) -> None: ...

    async def apply(self, partition: int, records: Sequence[LogRecord]) -> None:
        self.begun.set()
        await self.answer
        self.applied.append((records[0].offset, records[-1].offset + 1))


class Place:
    """A worker with an assignment of one partition, as if Faust had made it."""

    def __init__(self, sink: Sink) -> None:
        self.sought: list[Any] = []
        self.worker = ProjectorWorker(brokers="127.0.0.1:1", topic=TOPIC, group="everlog-g1", sink=sink)

        async def seek(tps: Any) -> None:
            self.sought += [(tp, self.cursor) for tp in tps]

        consumer = SimpleNamespace(assignment=lambda: {FIRST}, seek_to_cursors=seek)
        self.worker._app = SimpleNamespace(batch_consumer=consumer)  # type: ignore[assignment]

    @property
    def cursor(self) -> int | None:
        return self.worker._cursors.next_offset(0)

    async def begin(self) -> None:
        await self.worker._place_assigned()

    async def handle(self, first: int, until: int) -> None:
        """A fetched chunk comes; returns when it is worked on or through."""
        await self.worker._handle(FIRST, records(first, until))

    async def drained(self) -> None:
        """Until nothing is worked on."""
        await asyncio.gather(*self.worker._draining.values())


async def test_an_assigned_partition_begins_at_the_watermark_of_its_sink() -> None:
    place = Place(Sink(watermark=41))
    await place.begin()
    assert place.cursor == 41


async def test_the_cursor_moves_only_when_the_sink_has_answered() -> None:
    sink = Sink()
    place = Place(sink)
    await place.begin()
    await place.handle(0, 3)
    await sink.begun.wait()
    assert place.cursor == 0
    sink.answer.set_result(None)
    await place.drained()
    assert (place.cursor, sink.applied) == (3, [(0, 3)])


@pytest.mark.parametrize("error", [ResumeError("moved"), RuntimeError("a bug")])
async def test_a_sink_that_fails_moves_no_cursor(error: Exception) -> None:
    sink = Sink()
    place = Place(sink)
    await place.begin()
    await place.handle(0, 3)
    await sink.begun.wait()
    sink.answer.set_exception(error)
    await place.drained()
    assert (place.cursor, sink.applied) == (0, [])
    if isinstance(error, ResumeError):
        assert place.sought == [(FIRST, 0)]
    else:
        assert place.worker._failure is error


async def test_a_resume_goes_on_at_the_watermark_that_the_sink_names_then() -> None:
    sink = Sink(watermark=10)
    place = Place(sink)
    await place.begin()
    await place.handle(10, 12)
    await sink.begun.wait()
    sink.watermark = 4
    sink.answer.set_exception(ResumeError("somebody else was here"))
    await place.drained()
    assert (place.cursor, place.sought) == (4, [(FIRST, 4)])


async def test_a_partition_that_is_taken_away_during_a_resume_gets_no_cursor() -> None:
    class Outpaced(Sink):
        async def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
            if self.begun.is_set():
                await place.worker._give_back(partitions)
            return await super().assigned(partitions)

    sink = Outpaced(watermark=10)
    place = Place(sink)
    await place.begin()
    await place.handle(10, 12)
    await sink.begun.wait()
    sink.answer.set_exception(ResumeError("somebody else was here"))
    await place.drained()
    assert (place.cursor, place.sought, place.worker._failure) == (None, [], None)
