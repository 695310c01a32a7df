"""The cursor decides what of a fetched chunk is applied."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlog.ports.log import LogRecord, Record
from everlog.projector.cursors import Cursors
from everlog.projector.ports import ResumeError


def records(first: int, until: int) -> list[Record]:
    return [Record(0, offset, 0, None, None) for offset in range(first, until)]


def placed(offset: int) -> Cursors:
    cursors = Cursors()
    cursors.place({0: offset})
    return cursors


def offsets(due: Sequence[LogRecord]) -> list[int]:
    return [record.offset for record in due]


def test_a_chunk_that_begins_at_the_cursor_is_due() -> None:
    assert offsets(placed(5).due(0, records(5, 8))) == [5, 6, 7]


def test_records_below_the_cursor_are_cut_off() -> None:
    assert offsets(placed(5).due(0, records(3, 8))) == [5, 6, 7]


def test_a_chunk_below_the_cursor_is_passed_over() -> None:
    assert not placed(5).due(0, records(0, 5))


def test_a_chunk_of_a_partition_that_is_not_owned_is_passed_over() -> None:
    cursors = placed(5)
    cursors.drop([0])
    assert not cursors.due(0, records(5, 8))
    cursors.advance(0, records(5, 8))
    assert cursors.next_offset(0) is None
    assert cursors.owned() == []


def test_a_chunk_fetched_before_the_seek_is_passed_over() -> None:
    cursors = placed(5)
    assert not cursors.due(0, records(8, 9))
    assert cursors.next_offset(0) == 5


def test_a_chunk_beyond_the_cursor_is_a_hole_once_the_seek_was_answered() -> None:
    cursors = placed(5)
    cursors.advance(0, cursors.due(0, records(5, 8)))
    with pytest.raises(ResumeError, match="offset 9 instead of 8"):
        cursors.due(0, records(9, 10))


def test_a_hole_inside_a_chunk_is_an_error() -> None:
    with pytest.raises(ResumeError, match="hole between offsets 5 and 9"):
        placed(5).due(0, records(5, 7) + records(8, 10))


def test_the_cursor_moves_only_when_it_is_told_so() -> None:
    cursors = placed(5)
    due = cursors.due(0, records(5, 8))
    assert cursors.next_offset(0) == 5
    cursors.advance(0, due)
    assert cursors.next_offset(0) == 8


@given(st.integers(0, 20), st.lists(st.tuples(st.integers(0, 40), st.integers(1, 8)), max_size=60))
def test_whatever_is_delivered_is_applied_once_in_order_and_without_a_hole(
    start: int, deliveries: list[tuple[int, int]]
) -> None:
    cursors = placed(start)
    applied: list[int] = []
    for first, length in deliveries:
        try:
            due = cursors.due(0, records(first, first + length))
        except ResumeError:
            cursors.place({0: start + len(applied)})
            continue
        if due:
            applied += offsets(due)
            cursors.advance(0, due)
    assert applied == list(range(start, start + len(applied)))
    assert cursors.next_offset(0) == start + len(applied)
