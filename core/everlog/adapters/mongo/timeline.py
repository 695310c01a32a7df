"""Timeline entries, edits and rejections: inserted only, found by ids that are known without a search.

Only a redaction changes an entry: it takes content out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bson import Int64
from pymongo import UpdateOne

from everlog.adapters.mongo.connection import Collection
from everlog.adapters.mongo.errors import translated
from everlog.adapters.mongo.writes import IDS_OF_A_QUERY, insert_new, pieces
from everlog.domain.redaction import Edit, Redactions, blanked
from everlog.domain.stored import Rejection, TimelineEntry, timeline_id
from everlog.schemas.errors import UnavailableError

ENTRY_BYTES: Final = 384
"""What an entry takes beside its value, bytes at most: field names, numbers and the longest key."""

EDIT_BYTES: Final = 512
"""What a note of an edit takes, bytes at most: its id with the longest key."""

BLANKED_AT_ONCE: Final = 100
"""Entries that are read to be blanked: at most 25 MiB of the largest ones."""
BLANKING_ROUNDS: Final = 5
"""How often entries may be found changed by somebody else: by a zombie that carries out the same redactions."""

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

    async def blank(self, key: str, versions: Sequence[int], taken_back: Redactions) -> int:
        """Blank those of these entries of which something was taken back; how many were not blanked yet.

        Raises ``UnavailableError`` when somebody else keeps changing one.
        """
        blanked_now = 0
        for piece in pieces(versions, limit=BLANKED_AT_ONCE):
            blanked_now += await self._blank_piece(
                {timeline_id(key, version): version for version in piece}, taken_back
            )
        return blanked_now

    async def _blank_piece(self, versions: dict[str, int], taken_back: Redactions) -> int:
        """Onto the exact content that was read: what somebody else has taken out meanwhile stays out."""
        done = 0
        for _ in range(BLANKING_ROUNDS):
            with translated():
                found = await self._collection.find({"_id": {"$in": list(versions)}}).to_list()
                changes = [
                    UpdateOne({"_id": old["_id"], "value": old["value"]}, {"$set": {"value": new.value}})
                    for old in found
                    if (new := blanked(_entry(versions[old["_id"]], old), taken_back)).value != old["value"]
                ]
                matched = (await self._collection.bulk_write(changes, ordered=False)).matched_count if changes else 0
            done += matched
            if matched == len(changes):
                return done
        raise UnavailableError("MongoDB", "somebody else keeps changing entries that a redaction blanks")

    async def delete(self, key: str, first: int, last: int) -> None:
        """Delete the entries of versions ``first`` to ``last`` inclusive."""
        span = {"$gte": timeline_id(key, first), "$lte": timeline_id(key, last)}
        with translated():
            await self._collection.delete_many({"_id": span})


class Edits:
    """The collection of one generation's edits: ids sort by message, then by the version that edits it."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def insert(self, edits: Sequence[tuple[str, Edit]]) -> None:
        """Insert (session key, edit); one that is there already stays."""
        documents = [{"_id": _edit_id(key, edit)} for key, edit in edits]
        await insert_new(self._collection, documents, lambda _: EDIT_BYTES)

    async def read(self, key: str, first: int, last: int) -> list[Edit]:
        """The edits of the messages of versions ``first`` to ``last`` inclusive."""
        span = {"$gte": _edit_id(key, Edit(first, 0)), "$lt": _edit_id(key, Edit(last + 1, 0))}
        with translated():
            found = await self._collection.find({"_id": span}).to_list()
        return [Edit(*map(int, document["_id"].split("#")[1:])) for document in found]

    async def delete(self, key: str, first: int, last: int) -> None:
        """Delete the edits that versions ``first`` to ``last`` inclusive made: of messages before them."""
        gone = [edit for edit in await self.read(key, 1, last) if first <= edit.version <= last]
        for piece in pieces(gone, limit=IDS_OF_A_QUERY):
            with translated():
                await self._collection.delete_many({"_id": {"$in": [_edit_id(key, edit) for edit in piece]}})


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


def _edit_id(key: str, edit: Edit) -> str:
    return f"{timeline_id(key, edit.message)}#{edit.version:012d}"


def _entry(version: int, document: dict[str, Any]) -> TimelineEntry:
    return TimelineEntry(version, int(document["offset"]), int(document["timestamp"]), document["value"])


def _version(entry: TimelineEntry) -> int:
    return entry.version
