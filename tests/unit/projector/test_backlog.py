"""What waits while a batch runs becomes the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from everlog.domain.record import Record
from everlog.projector.backlog import Backlog
from everlog.projector.scheduling import CHUNK_BYTES, CHUNK_RECORDS


def chunk(first: int, count: int, value: bytes = b"") -> Sequence[Record]:
    return [Record(0, offset, 0, b"t/s", value) for offset in range(first, first + count)]


async def test_chunks_that_follow_each_other_are_one_batch() -> None:
    backlog = Backlog()
    await backlog.add(chunk(0, 2))
    await backlog.add(chunk(2, 3))
    assert [record.offset for record in backlog.take()] == [0, 1, 2, 3, 4]
    assert backlog.take() == ()


async def test_a_chunk_that_does_not_follow_begins_another_batch() -> None:
    backlog = Backlog()
    await backlog.add(chunk(0, 2))
    await backlog.add(chunk(7, 1))
    assert [record.offset for record in backlog.take()] == [0, 1]
    assert [record.offset for record in backlog.take()] == [7]


async def test_a_batch_stays_within_its_bound_and_a_larger_chunk_is_taken_whole() -> None:
    backlog = Backlog()
    waiting = asyncio.create_task(backlog.add(chunk(0, CHUNK_RECORDS + 1)))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert len(backlog.take()) == CHUNK_RECORDS + 1
    await waiting
    await backlog.add(chunk(0, CHUNK_RECORDS - 1))
    second = asyncio.create_task(backlog.add(chunk(CHUNK_RECORDS - 1, 2)))
    await asyncio.sleep(0)
    assert not second.done()
    assert len(backlog.take()) == CHUNK_RECORDS - 1
    await second
    assert len(backlog.take()) == 2


async def test_a_batch_stays_within_its_bytes() -> None:
    backlog, half = Backlog(), bytes(CHUNK_BYTES // 2)
    await backlog.add(chunk(0, 1, half))
    waiting = asyncio.create_task(backlog.add(chunk(1, 2, half)))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert [record.offset for record in backlog.take()] == [0]
    assert [record.offset for record in backlog.take()] == [1, 2]
    await waiting


async def test_what_is_cleared_leaves_room() -> None:
    backlog = Backlog()
    waiting = asyncio.create_task(backlog.add(chunk(0, CHUNK_RECORDS)))
    await asyncio.sleep(0)
    backlog.clear()
    await waiting
    assert backlog.take() == ()
