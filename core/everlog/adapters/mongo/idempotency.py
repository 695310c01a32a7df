"""Idempotency records in MongoDB: collection ``idempotency`` of the control database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from bson import Int64
from pymongo.errors import BulkWriteError

from everlog.adapters.mongo.connection import Database
from everlog.adapters.mongo.errors import duplicates, translated
from everlog.ports.idempotency import KEPT_S, FirstTry
from everlog.schemas.errors import UnavailableError

_RECORDED_AT: Final = "recorded_at"


class MongoIdempotencyStore:
    """An ``IdempotencyStore``."""

    def __init__(self, control: Database) -> None:
        self._tries = control["idempotency"]

    async def ensure_indexes(self) -> None:
        """The index by time; a server that deletes by it needs no sweep."""
        with translated():
            await self._tries.create_index(_RECORDED_AT, expireAfterSeconds=KEPT_S)

    async def record(self, tries: Sequence[FirstTry]) -> list[FirstTry | None]:
        """Keep each try unless its key is known already: one insert for all, one query for those that were there."""
        with translated():
            try:
                await self._tries.insert_many([_document(one) for one in tries], ordered=False)
            except BulkWriteError as error:
                return await self._known(tries, duplicates(error))
        return [None] * len(tries)

    async def sweep(self, before_ms: int) -> int:
        """Forget what was recorded before that time."""
        with translated():
            swept = await self._tries.delete_many({_RECORDED_AT: {"$lt": _time(before_ms)}})
        return swept.deleted_count

    async def _known(self, tries: Sequence[FirstTry], repeated: Sequence[int]) -> list[FirstTry | None]:
        """What was there of those that could not be inserted."""
        found = await self._tries.find({"_id": {"$in": [tries[at].key for at in repeated]}}).to_list()
        by_key = {document["_id"]: _first_try(document) for document in found}
        known: list[FirstTry | None] = [None] * len(tries)
        for at in repeated:
            known[at] = by_key.get(tries[at].key)
            if known[at] is None:  # it expired between the two: the next try finds its place free
                raise UnavailableError("MongoDB", "an idempotency record expired at this moment")
        return known


def _document(one: FirstTry) -> dict[str, Any]:
    return {
        "_id": one.key,
        "digest": one.digest,
        "event_id": one.event_id,
        "seen_version": Int64(one.seen_version),
        _RECORDED_AT: _time(one.recorded_ms),
    }


def _first_try(document: dict[str, Any]) -> FirstTry:
    recorded_at: datetime = document[_RECORDED_AT]
    return FirstTry(
        key=document["_id"],
        digest=bytes(document["digest"]),
        event_id=document["event_id"],
        seen_version=int(document["seen_version"]),
        recorded_ms=round(recorded_at.replace(tzinfo=UTC).timestamp() * 1000),
    )


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
