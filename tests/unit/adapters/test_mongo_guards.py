"""The guards of MongoDB's writes as data: what must be found, and what a wrong document is. Servers: tests/contract."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Int64
from pymongo import InsertOne, ReplaceOne

from everlog.adapters.mongo.sessions import _encoded, _operation, _verified
from everlog.adapters.mongo.watermarks import Watermarks
from everlog.domain.stored import Base, StoredSession, Stub
from everlog.ports.warm import ClosedBatch, SessionWrite
from everlog.schemas.errors import IntegrityError

DOCUMENT = StoredSession("acme/rome", 0, 1, 7, None, revision=3, stub=Stub(2, "active", {}, "hash"))
BASE = Base(2, -5)


def test_a_document_with_a_base_replaces_exactly_that_base_and_is_never_upserted() -> None:
    operation = _operation(_encoded(SessionWrite(DOCUMENT, BASE)), 0)
    assert isinstance(operation, ReplaceOne)
    assert operation._filter == {"_id": "acme/rome", "revision": 2, "checksum": Int64(-5)}
    assert not operation._upsert


def test_a_document_without_a_base_is_inserted() -> None:
    assert isinstance(_operation(_encoded(SessionWrite(DOCUMENT, None)), 0), InsertOne)


@pytest.mark.parametrize("change", [{"checksum": 1}, {"revision": 4}, {"_id": "acme/other"}, {"blob": b"\x90"}])
def test_a_document_that_is_not_what_lies_beside_it_is_damaged(change: dict[str, Any]) -> None:
    item = _encoded(SessionWrite(DOCUMENT, BASE))
    found = {"_id": item.key, "revision": 3, "checksum": item.ours.checksum, "blob": item.blob}
    assert _verified(found).stored == DOCUMENT
    with pytest.raises(IntegrityError):
        _verified({**found, **change})


class Asked:
    """A collection that remembers the update it was asked for, and finds nothing."""

    query: dict[str, Any] | None = None

    async def update_one(self, query: dict[str, Any], update: dict[str, Any]) -> Any:
        self.query = query
        return type("Result", (), {"matched_count": 0})()

    async def find_one(self, query: dict[str, Any]) -> dict[str, Any]:
        return {"next": 9}


async def test_a_watermark_moves_only_from_the_batches_first_offset() -> None:
    asked = Asked()
    moved = await Watermarks(asked).move(ClosedBatch(0, 1, 5, 8, [0, 0, 0]))  # type: ignore[arg-type]
    assert asked.query is not None and asked.query["next"] == 5
    assert not moved, "it stands elsewhere"
