"""Watermarks, moved by compare-and-set, and the outcomes of the records below them."""

from __future__ import annotations

import struct
from typing import Final

from bson import Int64

from everlog.adapters.mongo.connection import Collection
from everlog.adapters.mongo.errors import translated
from everlog.adapters.mongo.writes import insert_if_absent
from everlog.ports.warm import ClosedBatch

_OUTCOME_BYTES: Final = 8
"""A packed outcome as it is stored: a signed integer of 64 bits, little-endian."""

_AFTER_DIGITS: Final = "~"
"""Sorts after every digit."""


class Watermarks:
    """The collection of one generation's watermarks: a document per era and partition."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def read(self, era: int, partition: int) -> int | None:
        """The watermark; None where there is none."""
        with translated():
            found = await self._collection.find_one({"_id": _watermark_id(era, partition)})
        return int(found["next"]) if found is not None else None

    async def begin(self, era: int, partition: int, offset: int) -> None:
        """Insert the first watermark; one that is there already stays."""
        await insert_if_absent(self._collection, {"_id": _watermark_id(era, partition), "next": Int64(offset)})

    async def move(self, batch: ClosedBatch) -> bool:
        """Move from the batch's first to its next offset; True also when it stands there already."""
        query = {"_id": _watermark_id(batch.era, batch.partition), "next": batch.first}
        with translated():
            moved = await self._collection.update_one(query, {"$set": {"next": Int64(batch.next)}})
        return moved.matched_count == 1 or await self.read(batch.era, batch.partition) == batch.next


class Outcomes:
    """The collection of one generation's outcomes: a document per batch, its id sorts by era, partition and offset."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def insert(self, batch: ClosedBatch) -> None:
        """Insert a batch's outcomes; those of the same stretch that are there already stay.

        Two batches that overlap (their writers raced) are both kept: the law gives both the same verdicts.
        """
        document = {
            "_id": f"{_place(batch.era, batch.partition)}{batch.first:019d}/{batch.next:019d}",
            "packed": struct.pack(f"<{len(batch.outcomes)}q", *batch.outcomes),
        }
        await insert_if_absent(self._collection, document)

    async def read(self, era: int, partition: int, offset: int) -> int | None:
        """The packed outcome of a record: in the longest of the last batches that begin at or before it."""
        place = _place(era, partition)
        span = {"$gte": place, "$lte": f"{place}{offset:019d}/{_AFTER_DIGITS}"}
        with translated():
            found = await self._collection.find({"_id": span}).sort("_id", -1).limit(1).to_list()
        if not found:
            return None
        first = int(found[0]["_id"].split("/")[2])
        packed: bytes = found[0]["packed"]
        at = (offset - first) * _OUTCOME_BYTES
        return int(struct.unpack_from("<q", packed, at)[0]) if at < len(packed) else None


def _watermark_id(era: int, partition: int) -> str:
    return f"{era}/{partition}"


def _place(era: int, partition: int) -> str:
    """How the ids of a partition's batches begin; digits enough for every era and partition of the settings."""
    return f"{era:06d}/{partition:06d}/"
