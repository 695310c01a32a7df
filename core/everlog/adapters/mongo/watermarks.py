"""Watermarks, moved by compare-and-set, and the outcomes of the records below them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

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
        """The packed outcome of a record: in the longest of the last batches that begin at or before it.

        None where that one ends before it, as for every record that is not folded yet.
        """
        with translated():
            last = await self._collection.find(_begun(era, partition, offset)).sort("_id", -1).limit(1).to_list()
        return _packed(last[0], offset) if last and _end(last[0]) > offset else None

    async def search(self, era: int, partition: int, offset: int) -> int | None:
        """The same from any batch that holds the record, for those below the watermark that ``read`` does not find.

        Batches are cut anew after the views were put back to an earlier time. One of before that comes late, shorter
        and in the midst of a longer one, hides it from ``read``.
        """
        with translated():
            async for batch in self._collection.find(_begun(era, partition, offset)).sort("_id", -1):
                if _end(batch) > offset:
                    return _packed(batch, offset)
        return None


def _watermark_id(era: int, partition: int) -> str:
    return f"{era}/{partition}"


def _place(era: int, partition: int) -> str:
    """How the ids of a partition's batches begin; digits enough for every era and partition of the settings."""
    return f"{era:06d}/{partition:06d}/"


def _begun(era: int, partition: int, offset: int) -> dict[str, Any]:
    """The batches that begin at or before a record."""
    place = _place(era, partition)
    return {"_id": {"$gte": place, "$lte": f"{place}{offset:019d}/{_AFTER_DIGITS}"}}


def _end(batch: Mapping[str, Any]) -> int:
    """The offset behind a batch's last one."""
    return int(batch["_id"].split("/")[3])


def _packed(batch: Mapping[str, Any], offset: int) -> int:
    first = int(batch["_id"].split("/")[2])
    return int(struct.unpack_from("<q", batch["packed"], (offset - first) * _OUTCOME_BYTES)[0])
