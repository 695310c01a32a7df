"""Requests: work that waits for the owner of a partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from bson import Int64

from everlog.adapters.mongo.connection import Collection
from everlog.adapters.mongo.errors import translated
from everlog.adapters.mongo.writes import increment, insert_if_absent
from everlog.ports.control import REQUEST_SESSIONS, Request
from everlog.schemas.errors import LimitExceededError

_LAST: Final = "last"
"""Id of the document that counts: requests are handed out in the order in which they were submitted."""


class Requests:
    """The collection of requests, and the counter that orders them."""

    def __init__(self, collection: Collection, counters: Collection) -> None:
        self._collection, self._counters = collection, counters

    async def ensure_indexes(self) -> None:
        """Waiting requests are asked for several times a second."""
        with translated():
            await self._collection.create_index([("generation", 1), ("partition", 1), ("done", 1)])

    async def submit(self, request: Request) -> None:
        """Leave a request; one of the same id that is there already stays. Raises ``LimitExceededError``."""
        if len(request.sessions) > REQUEST_SESSIONS:
            raise LimitExceededError("sessions of a request", maximum=REQUEST_SESSIONS, actual=len(request.sessions))
        order = await increment(self._counters, _LAST, "order")
        await insert_if_absent(self._collection, _document(request, order))

    async def waiting(self, generation: int, partitions: Sequence[int]) -> list[Request]:
        """Requests that nobody has finished, oldest first."""
        query = {"generation": generation, "partition": {"$in": list(partitions)}, "done": None}
        with translated():
            found = await self._collection.find(query).to_list()
        return [_request(document) for document in sorted(found, key=lambda document: int(document["order"]))]

    async def finish(self, request_id: str, done: int, error: str | None) -> None:
        """Note how a request ended."""
        with translated():
            await self._collection.update_one({"_id": request_id}, {"$set": {"done": done, "error": error}})

    async def read(self, request_id: str) -> Request | None:
        """A request as it stands."""
        with translated():
            found = await self._collection.find_one({"_id": request_id})
        return _request(found) if found is not None else None

    async def forget(self, request_id: str) -> None:
        """Delete a request."""
        with translated():
            await self._collection.delete_one({"_id": request_id})


def _document(request: Request, order: int) -> dict[str, Any]:
    fields = msgspec.structs.asdict(request)
    return {"_id": fields.pop("id"), "order": order, **fields, "proved_offset": Int64(request.proved_offset)}


def _request(document: dict[str, Any]) -> Request:
    """Fields that are not a request's (the order) are left out."""
    return msgspec.convert({**document, "id": document["_id"]}, Request)
