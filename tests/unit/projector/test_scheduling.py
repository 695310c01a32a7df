"""Records travel through Faust in chunks."""

from __future__ import annotations

from typing import NamedTuple

from faust.types import TP

from everlog.projector.scheduling import CHUNK_RECORDS, Chunk, ChunkScheduler, chunks


class Fetched(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int = 7
    timestamp_type: int | None = 1
    key: bytes | None = b"k"
    value: bytes | None = b"v"
    headers: tuple[tuple[str, bytes], ...] = ()


def fetched(partition: int, first: int, until: int) -> list[Fetched]:
    return [Fetched("events", partition, offset) for offset in range(first, until)]


def test_a_chunk_carries_its_records_and_the_last_ones_position() -> None:
    records = fetched(3, 10, 15)
    chunk = Chunk(records)
    assert chunk.value == records
    assert (chunk.topic, chunk.partition, chunk.offset) == ("events", 3, 14)
    assert (chunk.timestamp, chunk.timestamp_type, chunk.key, chunk.headers) == (7, 1, None, ())


def test_chunks_hold_every_record_once_and_in_order() -> None:
    records = fetched(0, 0, 2 * CHUNK_RECORDS + 1)
    cut = list(chunks(records))
    assert [len(chunk.value) for chunk in cut] == [CHUNK_RECORDS, CHUNK_RECORDS, 1]
    assert [record for chunk in cut for record in chunk.value] == records


def test_chunks_of_large_records_are_bounded_in_bytes_and_hold_at_least_one() -> None:
    records = [Fetched("events", 0, offset, value=bytes(size)) for offset, size in enumerate([3, 3, 3, 9, 1, 5, 1])]
    cut = [[record.offset for record in chunk.value] for chunk in chunks(records, bytes_max=6)]
    assert cut == [[0, 1], [2], [3], [4, 5], [6]]


def test_partitions_take_turns_chunk_by_chunk() -> None:
    one, two = TP("events", 0), TP("events", 1)
    order = ChunkScheduler().iterate({one: fetched(0, 0, CHUNK_RECORDS * 2), two: fetched(1, 0, 5)})
    assert [(tp, chunk.value[0].offset) for tp, chunk in order] == [(one, 0), (two, 0), (one, CHUNK_RECORDS)]


def test_a_fetch_without_records_yields_nothing() -> None:
    assert list(ChunkScheduler().iterate({})) == []
    assert list(ChunkScheduler().iterate({TP("events", 0): []})) == []
