"""The benchmark of the projector: its events, its schedule, its percentiles."""

from __future__ import annotations

import asyncio
from itertools import islice

import pytest
from benchmarks.projector.appending import append_on_schedule
from benchmarks.projector.events import SESSIONS, VALUE_BYTES, events
from benchmarks.projector.latency import percentile
from benchmarks.projector.watching import Arrivals

from everlog.domain.event import Event
from everlog.domain.law import LAW
from everlog.domain.record import Headers, Position
from everlog.domain.state import State
from everlog.domain.verdicts import FOREIGN, Accepted, pack
from everlog.ports.hot import Outcomes


def test_every_event_has_the_same_size_and_is_accepted() -> None:
    states: dict[str, State | None] = {}
    for key, value in islice(events(), SESSIONS + 100):
        assert len(value) == VALUE_BYTES
        event = LAW.decode(value)
        assert isinstance(event, Event) and event.key == key
        states[key], verdict = LAW.step(states.get(key), event)
        assert isinstance(verdict, Accepted)
    assert len(states) == SESSIONS


class Stalling:
    """Acknowledges nothing before the stall is over."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.asked = 0

    async def append(self, key: str, value: bytes, headers: Headers = ()) -> Position | None:
        self.asked += 1
        if self.asked == 3:
            self.over.set()
        await self.over.wait()
        return Position(0, 0, self.asked)


async def test_the_schedule_waits_for_no_answer_and_waiting_counts_from_when_an_event_was_due() -> None:
    done = await append_on_schedule(Stalling(), [("t/s", b"{}")] * 3, 100)
    dues = [one.due_s - done[0].due_s for one in done]
    assert dues == pytest.approx([0, 0.01, 0.02])
    assert done[0].acknowledged_s - done[0].due_s >= 0.02


def test_a_percentile_is_one_of_the_numbers() -> None:
    numbers = [float(number) for number in range(100, 0, -1)]
    assert [percentile(numbers, percent) for percent in (0, 1, 50, 99, 100)] == [1, 1, 50, 99, 100]
    assert percentile([7.0], 99) == 7.0


def test_a_record_became_visible_with_the_batch_that_holds_it() -> None:
    clock = iter([1.0, 2.0, 3.0])
    arrivals = Arrivals(now_s=lambda: next(clock))
    for partition, first, count in ((0, 0, 2), (0, 2, 3), (1, 0, 1)):
        arrivals.note(Outcomes(0, partition, first, [pack(Accepted(1))] * count))
    visible = [arrivals.visible_s(Position(0, *place)) for place in ((0, 0), (0, 1), (0, 2), (0, 4), (1, 0))]
    assert visible == [1.0, 1.0, 2.0, 2.0, 3.0]
    assert (arrivals.records, arrivals.first_batch, arrivals.first_s, arrivals.last_s) == (6, 2, 1.0, 3.0)


def test_a_record_that_is_not_accepted_spoils_the_benchmark() -> None:
    with pytest.raises(ValueError, match="not all records of partition 2 from 7"):
        Arrivals().note(Outcomes(0, 2, 7, [FOREIGN]))
