"""What every hot store must do: the one in memory, and Redis."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from everlog.adapters.memory.hot import MemoryHotStore
from everlog.adapters.redis import RedisHotStore
from everlog.domain.stored import StoredSession, Stub, TimelineEntry, checksum
from everlog.local.stack import Addresses
from everlog.ports.hot import TAIL_BYTES, TAIL_ENTRIES, HotStore, HotWrite, Outcomes, key_mark
from everlog.runtime.config import RedisSettings
from everlog.schemas.errors import ConfigurationError, UnavailableError
from everlog.schemas.limits import VALUE_BYTES

KEY = "acme/rome-42"


def document(
    version: int, *, key: str = KEY, era: int = 0, offset: int | None = None, revision: int = 1
) -> StoredSession:
    """A document at a version; its offset is a hundred times the version unless said."""
    stub = Stub(version, "active", {"title": f"at {version}"}, "hash")
    return StoredSession(key, era, 3, version * 100 if offset is None else offset, None, revision=revision, stub=stub)


def entries(first: int, last: int, size: int = 20) -> list[TimelineEntry]:
    return [TimelineEntry(version, version * 100, 1_700_000_000_000, b"v" * size) for version in range(first, last + 1)]


def versions(tail: list[TimelineEntry]) -> list[int]:
    return [entry.version for entry in tail]


class HotContract:
    """Subclasses give the fixture ``hot``, empty."""

    async def test_what_nobody_put_is_not_hot(self, hot: HotStore) -> None:
        assert await hot.get(KEY) is None
        assert await hot.tail(KEY) == []

    async def test_nothing_asked_for_is_nothing_done(self, hot: HotStore) -> None:
        await hot.put([])
        await hot.drop([])

    async def test_a_session_and_its_entries_are_read_back(self, hot: HotStore) -> None:
        await hot.put([HotWrite(document(2), entries(1, 2))])
        assert await hot.get(KEY) == document(2)
        assert await hot.tail(KEY) == entries(1, 2)

    async def test_thousands_of_sessions_are_put_at_once(self, hot: HotStore) -> None:
        keys = [f"acme/s{number}" for number in range(1_200)]
        await hot.put([HotWrite(document(1, key=key), entries(1, 1)) for key in keys])
        for key in (keys[0], keys[600], keys[-1]):
            assert await hot.get(key) == document(1, key=key)

    @pytest.mark.parametrize(
        "older",
        [
            document(4, era=1, offset=500),
            document(6, era=0, offset=900, revision=9),
            document(5, era=1, offset=500, revision=1),
            document(5, era=1, offset=499, revision=3),
        ],
        ids=["same", "older era", "older revision", "older offset"],
    )
    async def test_what_is_not_later_is_refused(self, hot: HotStore, older: StoredSession) -> None:
        held = document(5, era=1, offset=500, revision=2)
        if older.version == 4:
            older = document(4, era=1, offset=500, revision=2)
        await hot.put([HotWrite(held, entries(4, 5))])
        await hot.put([HotWrite(older, entries(older.version, older.version))])
        assert await hot.get(KEY) == held
        assert versions(await hot.tail(KEY)) == [4, 5]

    @pytest.mark.parametrize(
        "later",
        [
            document(5, era=1, offset=0),
            document(5, era=0, offset=501),
            document(5, era=0, offset=500, revision=3),
            document(5, era=0, offset=1_000, revision=1),
        ],
        ids=["era", "offset", "revision", "offset with more digits"],
    )
    async def test_what_is_later_replaces(self, hot: HotStore, later: StoredSession) -> None:
        await hot.put([HotWrite(document(5, era=0, offset=500, revision=2), entries(5, 5))])
        await hot.put([HotWrite(later, [])])
        assert await hot.get(KEY) == later
        assert versions(await hot.tail(KEY)) == [5]

    async def test_only_the_newest_entries_are_given_where_no_more_are_wanted(self, hot: HotStore) -> None:
        await hot.put([HotWrite(document(5), entries(1, 5))])
        assert versions(await hot.tail(KEY, 2)) == [4, 5]
        assert versions(await hot.tail(KEY, 9)) == [1, 2, 3, 4, 5]

    async def test_entries_that_continue_the_tail_are_added(self, hot: HotStore) -> None:
        await hot.put([HotWrite(document(2), entries(1, 2)), HotWrite(document(5), entries(3, 5))])
        assert versions(await hot.tail(KEY)) == [1, 2, 3, 4, 5]

    async def test_a_tail_with_a_hole_starts_anew(self, hot: HotStore) -> None:
        await hot.put([HotWrite(document(2), entries(1, 2))])
        await hot.put([HotWrite(document(5), entries(4, 5))])
        assert versions(await hot.tail(KEY)) == [4, 5]

    async def test_a_version_without_its_entry_empties_the_tail(self, hot: HotStore) -> None:
        await hot.put([HotWrite(document(2), entries(1, 2))])
        await hot.put([HotWrite(document(4), [])])
        assert await hot.tail(KEY) == []
        await hot.put([HotWrite(document(5), entries(5, 5))])
        assert versions(await hot.tail(KEY)) == [5]

    async def test_a_tail_keeps_the_newest_page(self, hot: HotStore) -> None:
        await hot.put([HotWrite(document(40), entries(1, 40))])
        await hot.put([HotWrite(document(70), entries(41, 70))])
        assert versions(await hot.tail(KEY)) == list(range(71 - TAIL_ENTRIES, 71))
        await hot.put([HotWrite(document(200), entries(71, 200))])
        assert versions(await hot.tail(KEY)) == list(range(201 - TAIL_ENTRIES, 201))

    async def test_a_tail_is_bounded_in_bytes(self, hot: HotStore) -> None:
        large = TAIL_BYTES // 3 - 100
        for version in range(1, 6):
            await hot.put([HotWrite(document(version), entries(version, version, large))])
        assert versions(await hot.tail(KEY)) == [3, 4, 5]
        await hot.put([HotWrite(document(6), entries(6, 6, VALUE_BYTES))])
        assert versions(await hot.tail(KEY)) == [6]
        await hot.put([HotWrite(document(8), entries(7, 8))])
        assert versions(await hot.tail(KEY)) == [7, 8]

    async def test_random_histories_never_leave_a_hole(self, hot: HotStore) -> None:
        seed = random.randrange(2**32)
        chance, version, expected = random.Random(seed), 0, list[int]()
        for _ in range(60):
            skipped, added = chance.choice([0, 0, 0, 0, 2]), chance.choice([0, 1, 3, 30])
            version += skipped + added
            expected = [*([] if skipped else expected), *range(version - added + 1, version + 1)][-TAIL_ENTRIES:]
            await hot.put(
                [HotWrite(document(version, offset=version * 100 + _), entries(version - added + 1, version))]
            )
            assert versions(await hot.tail(KEY)) == expected, f"seed {seed}"

    async def test_many_readers_at_once_are_served(self, hot: HotStore) -> None:
        await hot.put([HotWrite(document(1), entries(1, 1))])
        assert await asyncio.gather(*(hot.get(KEY) for _ in range(500))) == [document(1)] * 500

    async def test_dropped_sessions_are_forgotten(self, hot: HotStore) -> None:
        other = document(1, key="acme/other")
        await hot.put([HotWrite(document(2), entries(1, 2)), HotWrite(other, [])])
        await hot.drop([KEY, "acme/unknown"])
        assert await hot.get(KEY) is None and await hot.tail(KEY) == []
        assert await hot.get("acme/other") == other
        await hot.put([HotWrite(document(1), entries(1, 1))])
        assert await hot.get(KEY) == document(1)

    async def test_another_hot_epoch_sees_nothing_of_this_one(self, hot: HotStore) -> None:
        await hot.put([HotWrite(document(2), entries(1, 2))])
        next_epoch = hot.at_epoch(7)
        assert await next_epoch.get(KEY) is None and await next_epoch.tail(KEY) == []
        await next_epoch.put([HotWrite(document(1), entries(1, 1))])
        assert await next_epoch.get(KEY) == document(1)
        assert await hot.get(KEY) == document(2)

    async def test_its_incarnation_is_the_same_under_every_epoch(self, hot: HotStore) -> None:
        incarnation = await hot.incarnation()
        assert incarnation and await hot.at_epoch(7).incarnation() == incarnation == await hot.incarnation()

    async def test_a_subscriber_hears_everything_from_its_entry_on(self, hot: HotStore) -> None:
        published = [
            Outcomes(2, 3, first, [1 << 8, 127, 2**50], [key_mark(KEY), 2**64 - 1]) for first in range(0, 30, 3)
        ]
        await hot.publish(Outcomes(2, 3, 1_000, [0]))
        async with hot.subscribe() as outcomes, hot.at_epoch(9).subscribe() as others:
            for one in published:
                await hot.publish(one)
            for iterator in (outcomes, others):
                assert [await asyncio.wait_for(anext(iterator), 5) for _ in published] == published


class TestMemory(HotContract):
    @pytest.fixture
    def hot(self) -> HotStore:
        return MemoryHotStore()


@pytest.mark.integration
class TestRedis(HotContract):
    @pytest.fixture
    def settings(self, services: Addresses) -> RedisSettings:
        return RedisSettings(url=services.redis, idle_ttl_s=60)

    @pytest.fixture
    def generation(self) -> int:
        """A new one for each test."""
        return uuid.uuid4().int % 10**9

    @pytest.fixture
    def damaged(self) -> list[str]:
        return []

    @pytest.fixture
    async def hot(self, settings: RedisSettings, generation: int, damaged: list[str]) -> AsyncIterator[RedisHotStore]:
        async with RedisHotStore(settings, generation, 0, on_damaged=damaged.append) as store:
            yield store

    @pytest.fixture
    async def raw(self, services: Addresses) -> AsyncIterator[Redis]:
        async with Redis.from_url(services.redis) as client:
            yield client

    async def test_both_keys_of_a_session_lie_on_one_node_and_expire(
        self, hot: RedisHotStore, raw: Redis, generation: int
    ) -> None:
        await hot.put([HotWrite(document(1), entries(1, 1))])
        keys = sorted([key async for key in raw.scan_iter(f"everlog:g{generation}:*")])
        prefix = f"everlog:g{generation}:e0:{{{KEY}}}"
        assert keys == [f"{prefix}:s".encode(), f"{prefix}:t".encode()]
        for key in keys:
            assert 0 < await raw.ttl(key) <= 60

    async def test_reading_a_session_keeps_it_hot(self, hot: RedisHotStore, raw: Redis, generation: int) -> None:
        await hot.put([HotWrite(document(1), entries(1, 1))])
        keys = [key async for key in raw.scan_iter(f"everlog:g{generation}:*")]
        for key in keys:
            await raw.expire(key, 5)
        await hot.get(KEY)
        for key in keys:
            assert await raw.ttl(key) > 5

    async def test_a_damaged_document_is_a_miss_and_counted(
        self, hot: RedisHotStore, raw: Redis, generation: int, damaged: list[str]
    ) -> None:
        await hot.put([HotWrite(document(1), entries(1, 1))])
        await raw.hset(f"everlog:g{generation}:e0:{{{KEY}}}:s", "document", b"rotten")
        assert await hot.get(KEY) is None
        assert damaged == [KEY]

    async def test_a_document_that_cannot_be_read_is_a_miss_and_counted(
        self, hot: RedisHotStore, raw: Redis, generation: int, damaged: list[str]
    ) -> None:
        await hot.put([HotWrite(document(1), entries(1, 1))])
        state = f"everlog:g{generation}:e0:{{{KEY}}}:s"
        await raw.hset(state, mapping={"document": b"\x90", "checksum": str(checksum(b"\x90"))})
        assert await hot.get(KEY) is None
        assert damaged == [KEY]

    async def test_an_evicted_tail_starts_anew(self, hot: RedisHotStore, raw: Redis, generation: int) -> None:
        await hot.put([HotWrite(document(3), entries(1, 3))])
        await raw.delete(f"everlog:g{generation}:e0:{{{KEY}}}:t")
        await hot.put([HotWrite(document(4), entries(4, 4))])
        assert versions(await hot.tail(KEY)) == [4]

    async def test_a_server_that_forgot_the_script_learns_it_again(self, hot: RedisHotStore, raw: Redis) -> None:
        await hot.put([HotWrite(document(1), entries(1, 1))])
        await raw.script_flush()
        await hot.put([HotWrite(document(2), entries(2, 2)), HotWrite(document(3), entries(3, 3))])
        assert versions(await hot.tail(KEY)) == [1, 2, 3]

    async def test_a_lost_subscription_ends_with_an_error(
        self, hot: RedisHotStore, raw: Redis, generation: int
    ) -> None:
        async with hot.subscribe() as outcomes:
            await hot.publish(Outcomes(0, 0, 0, [1]))
            await asyncio.wait_for(anext(outcomes), 5)
            await raw.client_kill_filter(_type="pubsub")
            with pytest.raises(UnavailableError):
                await asyncio.wait_for(anext(outcomes), 5)

    async def test_a_message_that_is_none_is_passed_over(self, hot: RedisHotStore, raw: Redis, generation: int) -> None:
        async with hot.subscribe() as outcomes:
            await raw.publish(f"everlog:g{generation}:outcomes", b"\xff")
            await hot.publish(Outcomes(0, 0, 0, [1]))
            assert await asyncio.wait_for(anext(outcomes), 5) == Outcomes(0, 0, 0, [1])


class TestRedisAway:
    @pytest.fixture
    async def hot(self, unused_tcp_port: int) -> AsyncIterator[RedisHotStore]:
        settings = RedisSettings(url=f"redis://127.0.0.1:{unused_tcp_port}/0", timeout_s=1)
        async with RedisHotStore(settings, 1, 0) as store:
            yield store

    async def test_every_call_says_so(self, hot: RedisHotStore) -> None:
        calls = [hot.get(KEY), hot.tail(KEY), hot.drop([KEY]), hot.publish(Outcomes(0, 0, 0, [])), hot.incarnation()]
        calls += [hot.put([HotWrite(document(1), [])])]
        for call in calls:
            with pytest.raises(UnavailableError, match="Redis is unavailable"):
                await call
        with pytest.raises(UnavailableError):
            async with hot.subscribe():
                pass

    def test_an_address_that_is_none_is_a_wrong_setting(self) -> None:
        with pytest.raises(ConfigurationError, match="EVERLOG_REDIS__URL"):
            RedisHotStore(RedisSettings(url="http://somewhere"), 1, 0)
