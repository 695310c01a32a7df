"""Session documents: each is written onto the exact base that it was folded from.

A document keeps the stored form whole (``blob``); beside it lie only the fields that guards and scans need.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from bson import Int64
from pymongo import DeleteOne, InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError

from everlog.adapters.mongo import connection
from everlog.adapters.mongo.errors import duplicates, translated
from everlog.adapters.mongo.writes import IDS_OF_A_QUERY, pieces
from everlog.domain.searching import Query, found_by
from everlog.domain.stored import Base, Loaded, Parked, StoredSession, checksum, decode_stored, encode_stored
from everlog.ports.warm import DamagedDocumentsError, Hit, Idle, SessionWrite, Written
from everlog.schemas.errors import IntegrityError

CLEAR_BYTES: Final = 512
"""What a document takes beside its blob, bytes at most: field names, numbers and the longest key; and as much as the
blob again, in which everything stands that it is searched by."""

_GUARD: Final = ("_id", "revision", "checksum")
_INCARNATION: Final = (*_GUARD, "written_at_ms")
_log = structlog.get_logger(__name__)
_Operation = InsertOne[dict[str, Any]] | ReplaceOne[dict[str, Any]]


class _Encoded(NamedTuple):
    """A write, its stored form, and the base that the next write will find."""

    write: SessionWrite
    blob: bytes
    ours: Base

    @property
    def key(self) -> str:
        return self.write.document.key


class Sessions:
    """The collection of one generation's session documents."""

    def __init__(self, collection: connection.Collection) -> None:
        self._collection = collection

    async def ensure_indexes(self) -> None:
        """An index by partition, for dropping one; those of parked and of interrupted sessions, in which the others do
        not stand; and those of the search.

        A write moves a document in the one by time, and in the others only where it changed what they are about."""
        with translated():
            await self._collection.create_index("partition")
            await self._collection.create_index("parked.offset", sparse=True)
            await self._collection.create_index("interrupted", sparse=True)
            await self._collection.create_index([("tenant", 1), ("updated_ms", -1), ("_id", -1)])
            for field in ("labels", "participants", "principals", "words"):
                await self._collection.create_index([("tenant", 1), (field, 1)])

    async def load(self, keys: Collection[str]) -> dict[str, Loaded]:
        """The documents of those sessions that have one; raises ``DamagedDocumentsError``."""
        loaded: dict[str, Loaded] = {}
        damaged: dict[str, Base] = {}
        detail = ""
        for piece in pieces(keys, limit=IDS_OF_A_QUERY):
            with translated():
                async for found in self._collection.find({"_id": {"$in": piece}}, [*_GUARD, "blob"]):
                    try:
                        loaded[found["_id"]] = _verified(found)
                    except IntegrityError as error:
                        damaged[found["_id"]] = _base(found)
                        detail = error.message
        if damaged:
            raise DamagedDocumentsError(damaged, detail)
        return loaded

    async def versions(self, keys: Collection[str]) -> dict[str, int]:
        """The versions of those sessions that have a document."""
        versions: dict[str, int] = {}
        for piece in pieces(keys, limit=IDS_OF_A_QUERY):
            with translated():
                async for found in self._collection.find({"_id": {"$in": piece}}, ["version"]):
                    versions[found["_id"]] = int(found["version"])
        return versions

    async def search(self, query: Query) -> list[Hit]:
        """The sessions that a query finds, the latest updated first; a damaged one is reported."""
        hits: list[Hit] = []
        fields = [*_GUARD, "blob", "updated_ms"]
        with translated():
            cursor = self._collection.find(_filter(query), fields).sort([("updated_ms", -1), ("_id", -1)])
            async for found in cursor.limit(query.limit):
                try:
                    stored = _verified(found).stored
                except IntegrityError as error:
                    _log.error("a damaged document is not listed", error=error.message)
                    stored = None
                hits.append(Hit(found["_id"], int(found["updated_ms"]), stored))
        return hits

    async def write(self, writes: Sequence[SessionWrite], now_ms: int) -> Written:
        """Write documents onto their bases; ``now_ms`` is what ``idle`` will compare."""
        written = Written({}, frozenset())
        for piece in pieces(map(_encoded, writes), lambda item: 2 * len(item.blob) + CLEAR_BYTES):
            moved = await self._write_piece(piece, now_ms)
            written.documents.update(
                {item.key: Loaded(item.write.document, item.ours) for item in piece if item.key not in moved}
            )
            written = written._replace(moved=written.moved | moved)
        return written

    async def _write_piece(self, piece: list[_Encoded], now_ms: int) -> frozenset[str]:
        """Keys whose base moved. Only the counts tell that a replacement found its base, so one miss asks for all."""
        operations = [_operation(item, now_ms) for item in piece]
        replaced = [item for item in piece if item.write.base is not None]
        refused: list[_Encoded] = []
        with translated():
            try:
                matched = (await self._collection.bulk_write(operations, ordered=False)).matched_count
            except BulkWriteError as error:
                refused = [piece[index] for index in duplicates(error)]
                matched = int(error.details["nMatched"])
        doubtful = refused if matched == len(replaced) else refused + replaced
        return await self._moved(doubtful) if doubtful else frozenset()

    async def _moved(self, doubtful: list[_Encoded]) -> frozenset[str]:
        """Read documents back; those that are neither ours nor lost are somebody else's newer ones."""
        found: dict[str, Base] = {}
        for piece in pieces([item.key for item in doubtful], limit=IDS_OF_A_QUERY):
            with translated():
                async for document in self._collection.find({"_id": {"$in": piece}}, _GUARD):
                    found[document["_id"]] = _base(document)
        moved = [item for item in doubtful if found.get(item.key) != item.ours]
        for item in moved:
            _refuse_loss(item, found.get(item.key))
        return frozenset(item.key for item in moved)

    async def drop_partition(self, partition: int) -> None:
        """Delete every document of a partition as it is now.

        Each by its exact content: a caller that was stopped in between and goes on much later deletes nothing that
        its successor wrote since.
        """
        query = {"partition": partition}
        with translated():
            found = await self._collection.find(query, _INCARNATION).to_list()
            for piece in pieces(found):
                await self._collection.bulk_write([DeleteOne(document) for document in piece], ordered=False)

    async def idle(self, before_ms: int, *, stubs: bool) -> AsyncIterator[Idle]:
        """Positions of the documents last written before a time; a full scan."""
        query: dict[str, Any] = {"written_at_ms": {"$lt": before_ms}}
        if not stubs:
            query["stub"] = False
        with translated():
            async for found in self._collection.find(query, ["era", "partition", "offset"]):
                yield Idle(found["_id"], found["era"], found["partition"], found["offset"])

    async def parked(self, partition: int) -> AsyncIterator[tuple[str, Parked]]:
        """The parked sessions of a partition."""
        query = {"parked.offset": {"$exists": True}, "partition": partition}
        with translated():
            async for found in self._collection.find(query, ["parked"]):
                yield found["_id"], Parked(**found["parked"])


def _encoded(write: SessionWrite) -> _Encoded:
    blob = encode_stored(write.document)
    return _Encoded(write, blob, Base(write.document.revision, checksum(blob)))


def _operation(item: _Encoded, now_ms: int) -> _Operation:
    document = _document(item, now_ms)
    base = item.write.base
    if base is None:
        return InsertOne(document)
    return ReplaceOne({"_id": item.key, "revision": base.revision, "checksum": Int64(base.checksum)}, document)


def _document(item: _Encoded, now_ms: int) -> dict[str, Any]:
    stored = item.write.document
    return {
        "_id": stored.key,
        "revision": stored.revision,
        "checksum": Int64(item.ours.checksum),
        "era": stored.era,
        "partition": stored.partition,
        "offset": Int64(stored.offset),
        "version": stored.version,
        "status": _status(stored),
        "stub": stored.stub is not None,
        "written_at_ms": Int64(now_ms),
        **_searched(stored, now_ms),
        "blob": item.blob,
        **({"parked": _clear(stored.parked)} if stored.parked is not None else {}),
    }


def _searched(stored: StoredSession, now_ms: int) -> dict[str, Any]:
    found = found_by(stored, now_ms)
    if found is None:
        return {}
    return {
        "tenant": found.tenant,
        "labels": found.labels,
        "participants": found.participants,
        "principals": found.principals,
        "words": found.words,
        "updated_ms": Int64(found.updated_ms),
        **({"interrupted": found.tenant} if found.interrupts else {}),
    }


def _filter(query: Query) -> dict[str, Any]:
    """What ``Query.finds`` says, for MongoDB."""
    conditions: list[dict[str, Any]] = [{"labels": {"$in": list(group)}} for group in query.labels]
    conditions += [{"words": {"$regex": f"^{re.escape(word)}"}} for word in query.words]
    if query.participant is not None:
        conditions.append({"participants": query.participant})
    if query.principal is not None:
        conditions.append({"principals": query.principal})
    if query.before is not None:
        updated_ms, key = query.before
        conditions.append(
            {"$or": [{"updated_ms": {"$lt": updated_ms}}, {"updated_ms": updated_ms, "_id": {"$lt": key}}]}
        )
    return {
        "interrupted" if query.has_interrupts else "tenant": query.tenant,
        **({"status": query.status} if query.status is not None else {}),
        **({"$and": conditions} if conditions else {}),
    }


def _clear(parked: Parked) -> dict[str, Any]:
    return {
        "offset": Int64(parked.offset),
        "reason": parked.reason,
        "seen": Int64(parked.seen),
        "since_ms": Int64(parked.since_ms),
    }


def _status(stored: StoredSession) -> str | None:
    if stored.state is not None:
        return stored.state.standing.status
    return stored.stub.status if stored.stub is not None else None


def _base(document: dict[str, Any]) -> Base:
    return Base(int(document["revision"]), int(document["checksum"]))


def _verified(document: dict[str, Any]) -> Loaded:
    key, base, blob = document["_id"], _base(document), document["blob"]
    if checksum(blob) != base.checksum:
        raise IntegrityError(f"the document of {key} fails its checksum")
    try:
        stored = decode_stored(blob)
    except msgspec.MsgspecError as error:
        raise IntegrityError(f"the document of {key} cannot be read") from error
    if (stored.key, stored.revision) != (key, base.revision):
        raise IntegrityError(f"the document of {key} is not what lies beside it")
    return Loaded(stored, base)


def _refuse_loss(item: _Encoded, found: Base | None) -> None:
    """A document that was acknowledged cannot be older now, or gone. Every write raises the revision."""
    base = item.write.base
    if base is None or (found is not None and found.revision > base.revision):
        return
    state = "is missing" if found is None else f"is at revision {found.revision}"
    raise IntegrityError(
        f"the document of {item.key} {state}, but revision {base.revision} was read or acknowledged",
        hint="MongoDB lost writes that a majority acknowledged, or another projector dropped the partition",
    )
