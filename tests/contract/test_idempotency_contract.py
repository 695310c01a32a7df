"""What every store of idempotency records must do: the one in memory, and MongoDB."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from everlog.adapters.memory.idempotency import MemoryIdempotencyStore
from everlog.adapters.mongo import connect
from everlog.adapters.mongo.connection import Client
from everlog.adapters.mongo.idempotency import MongoIdempotencyStore
from everlog.local.stack import Addresses
from everlog.ports.idempotency import RECORDED_AT_ONCE, FirstTry, IdempotencyStore
from everlog.runtime.config import MongoSettings

NOW_MS = time.time_ns() // 1_000_000
LARGE_VERSION = 2**53 - 1


def first_try(key: str = "k-1", **changes: object) -> FirstTry:
    one = FirstTry(f"acme/ada/rome-42/{key}", b"\x00digest\xff", "event-1", LARGE_VERSION, NOW_MS)
    return msgspec.structs.replace(one, **changes)


class IdempotencyContract:
    """Subclasses give the fixtures ``store`` and ``rival`` (another process on the same data)."""

    async def test_the_first_try_of_a_key_is_told_from_its_retries(
        self, store: IdempotencyStore, rival: IdempotencyStore
    ) -> None:
        assert await store.record([first_try()]) == [None]
        later = first_try(digest=b"other", event_id="event-2", seen_version=9, recorded_ms=NOW_MS + 5)
        assert await store.record([later]) == [first_try()]
        assert await rival.record([later]) == [first_try()]

    async def test_many_are_recorded_at_once_each_for_itself(self, store: IdempotencyStore) -> None:
        await store.record([first_try("b")])
        told = await store.record([first_try("a"), first_try("b", seen_version=3), first_try("c")])
        assert told == [None, first_try("b"), None]
        everyone = [first_try(f"many-{number}") for number in range(RECORDED_AT_ONCE)]
        assert await store.record(everyone) == [None] * RECORDED_AT_ONCE
        assert await store.record(everyone) == everyone

    async def test_a_key_twice_in_one_call_is_a_first_try_and_a_retry(self, store: IdempotencyStore) -> None:
        assert await store.record([first_try(), first_try(seen_version=1)]) == [None, first_try()]

    async def test_of_many_at_the_same_time_one_is_the_first(
        self, store: IdempotencyStore, rival: IdempotencyStore
    ) -> None:
        told = await asyncio.gather(*((store, rival)[at % 2].record([first_try()]) for at in range(10)))
        assert [one for (one,) in told].count(None) == 1
        assert [one for (one,) in told].count(first_try()) == 9

    @pytest.mark.parametrize(
        "other", ["acme/bob/rome-42/k-1", "acme/ada/oslo-1/k-1", "other/ada/rome-42/k-1", "acme/ada//v1/sessions/k-1"]
    )
    async def test_keys_of_other_principals_places_and_tenants_do_not_clash(
        self, store: IdempotencyStore, other: str
    ) -> None:
        assert await store.record([first_try(), first_try(key=other)]) == [None, None]

    async def test_old_ones_are_forgotten(self, store: IdempotencyStore, rival: IdempotencyStore) -> None:
        await store.record([first_try("old"), first_try("new", recorded_ms=NOW_MS + 1)])
        assert await rival.sweep(NOW_MS) == 0
        assert await rival.sweep(NOW_MS + 1) == 1
        assert await store.record([first_try("old"), first_try("new")]) == [
            None,
            first_try("new", recorded_ms=NOW_MS + 1),
        ]


class TestInMemory(IdempotencyContract):
    @pytest.fixture
    def store(self) -> IdempotencyStore:
        return MemoryIdempotencyStore()

    @pytest.fixture
    def rival(self, store: IdempotencyStore) -> IdempotencyStore:
        return store


@pytest.mark.integration
class TestMongo(IdempotencyContract):
    @pytest.fixture
    async def client(self, services: Addresses) -> AsyncIterator[Client]:
        client = connect(MongoSettings(url=services.mongo))
        await client.drop_database("idempotency_contract")
        yield client
        await client.drop_database("idempotency_contract")
        await client.close()

    @pytest.fixture
    async def store(self, client: Client) -> IdempotencyStore:
        store = MongoIdempotencyStore(client["idempotency_contract"])
        await store.ensure_indexes()
        await store.ensure_indexes()
        return store

    @pytest.fixture
    def rival(self, client: Client) -> IdempotencyStore:
        return MongoIdempotencyStore(client["idempotency_contract"])

    async def test_a_server_that_can_deletes_what_is_older_than_seven_days(
        self, store: IdempotencyStore, client: Client
    ) -> None:
        indexes = await client["idempotency_contract"]["idempotency"].index_information()
        assert any(dict(index["key"]) == {"recorded_at": 1} for index in indexes.values())
