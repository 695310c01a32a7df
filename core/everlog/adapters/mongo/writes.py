"""Writes of more than one place: bulks in bounded pieces, inserts that may find their document there, counters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from bson import Int64
from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError

from everlog.adapters.mongo.connection import Collection
from everlog.adapters.mongo.errors import duplicates, translated

BULK_BYTES: Final = 8 << 20
"""One command at most, bytes: far below the 48 MB of the wire protocol, so that a command never holds the server or
the deadline for long."""

BULK_DOCUMENTS: Final = 1_000
"""One command at most, documents: below the 100,000 of the wire protocol, with nothing to gain above (measured)."""

IDS_OF_A_QUERY: Final = 1_024
"""Ids in one ``$in``: about 300 KB of the longest keys."""

_Item = TypeVar("_Item")


def pieces(
    items: Iterable[_Item], size: Callable[[_Item], int] = lambda _: 0, limit: int = BULK_DOCUMENTS
) -> Iterator[list[_Item]]:
    """The items in lists of at most ``limit`` items and ``BULK_BYTES`` bytes, each of at least one item."""
    piece: list[_Item] = []
    filled = 0
    for item in items:
        length = size(item)
        if piece and (len(piece) >= limit or filled + length > BULK_BYTES):
            yield piece
            piece, filled = [], 0
        piece.append(item)
        filled += length
    if piece:
        yield piece


async def insert_new(
    collection: Collection, documents: Sequence[dict[str, Any]], size: Callable[[dict[str, Any]], int]
) -> None:
    """Insert documents; those whose ``_id`` is there already stay as they are. ``size`` in bytes."""
    for piece in pieces(documents, size):
        with translated():
            try:
                await collection.insert_many(piece, ordered=False)
            except BulkWriteError as error:
                duplicates(error)


async def insert_if_absent(collection: Collection, document: dict[str, Any]) -> None:
    """Insert a document; one whose ``_id`` is there already stays as it is."""
    with translated():
        try:
            await collection.insert_one(document)
        except DuplicateKeyError:
            return


async def increment(collection: Collection, name: str, field: str) -> int:
    """Raise a counter by one and return it; a new one starts at 1."""
    with translated():
        raised = await collection.find_one_and_update(
            {"_id": name}, {"$inc": {field: Int64(1)}}, upsert=True, return_document=ReturnDocument.AFTER
        )
    assert raised is not None  # noqa: S101 (a type narrowing: an upsert always answers with its document)
    return int(raised[field])
