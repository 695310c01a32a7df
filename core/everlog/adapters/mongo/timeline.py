"""Timeline entries and rejections: inserted only, found by ids that are known without a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bson import Int64

from everlog.adapters.mongo.connection import Collection
from everlog.adapters.mongo.errors import translated
from everlog.adapters.mongo.writes import IDS_OF_A_QUERY, insert_new, pieces
from everlog.domain.stored import Rejection, TimelineEntry, timeline_id

ENTRY_BYTES: Final = 384
"""What an entry takes beside its value, bytes at most: field names, numbers and the longest key."""

REJECTION_BYTES: Final = 1_024
"""What a rejection takes, roughly: its id of two keys at most, and its details."""


class Timeline:
    """The collection of one generation's timeline entries."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def insert(self, entries: Sequence[tuple[str, TimelineEntry]]) -> None:
        """Insert (session key, entry); an entry that is there already is left as it is."""
        documents = [
            {
                "_id": timeline_id(key, entry.version),
                "offset": Int64(entry.offset),
                "timestamp": Int64(entry.timestamp),
                "value": entry.value,
            }
            for key, entry in entries
        ]
        await insert_new(self._collection, documents, lambda document: len(document["value"]) + ENTRY_BYTES)

    async def read(self, key: str, first: int, last: int) -> list[TimelineEntry]:
        """The warm entries of versions ``first`` to ``last`` inclusive, in order."""
        entries: list[TimelineEntry] = []
        for versions in pieces(range(first, last + 1), limit=IDS_OF_A_QUERY):
            ids = {timeline_id(key, version): version for version in versions}
            with translated():
                found = await self._collection.find({"_id": {"$in": list(ids)}}).to_list()
            entries += sorted((_entry(ids[document["_id"]], document) for document in found), key=_version)
        return entries

    async def delete(self, key: str, first: int, last: int) -> None:
        """Delete the entries of versions ``first`` to ``last`` inclusive."""
        span = {"$gte": timeline_id(key, first), "$lte": timeline_id(key, last)}
        with translated():
            await self._collection.delete_many({"_id": span})


class Rejections:
    """The collection of one generation's rejections."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def insert(self, rejections: Sequence[Rejection]) -> None:
        """Insert rejections; one that is there already is left as it is."""
        documents = [
            {
                "_id": rejection.id,
                "offset": Int64(rejection.offset),
                "timestamp": Int64(rejection.timestamp),
                "reason": rejection.reason,
                "version": rejection.version,
                "detail": list(rejection.detail),
            }
            for rejection in rejections
        ]
        await insert_new(self._collection, documents, lambda _: REJECTION_BYTES)

    async def read(self, key: str, event_id: str) -> Rejection | None:
        """The first rejection of an event id."""
        with translated():
            found = await self._collection.find_one({"_id": f"{key}#{event_id}"})
        if found is None:
            return None
        return Rejection(
            id=found["_id"],
            offset=int(found["offset"]),
            timestamp=int(found["timestamp"]),
            reason=found["reason"],
            version=found["version"],
            detail=tuple(found["detail"]),
        )


def _entry(version: int, document: dict[str, Any]) -> TimelineEntry:
    return TimelineEntry(version, int(document["offset"]), int(document["timestamp"]), document["value"])


def _version(entry: TimelineEntry) -> int:
    return entry.version
