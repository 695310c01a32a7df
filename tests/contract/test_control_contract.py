"""What every control store must do: the one in memory, and MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from everlog.adapters.memory.control import MemoryControlStore
from everlog.adapters.mongo import MongoControlStore, MongoWarmStore, connect
from everlog.adapters.mongo.connection import Client
from everlog.domain.view import FOLD_VERSION
from everlog.local.stack import Addresses
from everlog.ports.control import (
    REQUEST_SESSIONS,
    Anchor,
    ControlStore,
    Generation,
    HotEpoch,
    Live,
    Reader,
    Request,
)
from everlog.ports.log import LogIdentity
from everlog.runtime.config import MongoSettings
from everlog.schemas.errors import ControlLostError, LimitExceededError, LogLostError, NotFoundError

IDENTITY = LogIdentity("cluster-a", "everlog.events", 0, 4)
LARGE_OFFSET = 2**53 + 1


def request(name: str, *, partition: int = 1, generation: int = 1) -> Request:
    return Request(name, generation, partition, "evict_timeline", ["acme/a", "acme/b"], proved_offset=LARGE_OFFSET)


class ControlContract:
    """Subclasses give the fixtures ``store`` and ``rival`` (another process on the same data)."""

    async def test_before_it_is_initialised_there_is_nothing(self, store: ControlStore) -> None:
        assert await store.identity() is None
        assert await store.generations() == []
        with pytest.raises(NotFoundError, match="everlog init"):
            await store.live()

    async def test_initialising_creates_generation_1_and_its_hot_epoch(self, store: ControlStore) -> None:
        await store.initialise(IDENTITY)
        assert await store.identity() == IDENTITY
        assert await store.live() == Live(1, 1)
        assert await store.generations() == [Generation(1, FOLD_VERSION)]

    async def test_initialising_again_changes_nothing(self, store: ControlStore, rival: ControlStore) -> None:
        await asyncio.gather(store.initialise(IDENTITY), rival.initialise(IDENTITY))
        await store.begin_hot_epoch(1, 1, "first")
        await rival.initialise(IDENTITY)
        assert await store.live() == Live(1, 2)
        assert await store.generations() == [Generation(1, FOLD_VERSION)]

    @pytest.mark.parametrize(
        "other",
        [
            IDENTITY._replace(cluster_id="cluster-b"),
            IDENTITY._replace(topic="other.events"),
            IDENTITY._replace(era=1),
            IDENTITY._replace(partitions=8),
        ],
    )
    async def test_another_log_is_refused(self, store: ControlStore, other: LogIdentity) -> None:
        await store.initialise(IDENTITY)
        with pytest.raises(LogLostError, match="cluster-a"):
            await store.initialise(other)
        assert await store.identity() == IDENTITY

    async def test_of_many_who_begin_a_hot_epoch_one_does_and_all_learn_it(
        self, store: ControlStore, rival: ControlStore
    ) -> None:
        await store.initialise(IDENTITY)
        assert await store.hot_epoch(1) == HotEpoch(1, "")
        names = [f"run-{number}" for number in range(10)]
        begun = await asyncio.gather(
            *((store, rival)[at % 2].begin_hot_epoch(1, 1, name) for at, name in enumerate(names))
        )
        assert {epoch.epoch for epoch in begun} == {2}
        (incarnation,) = {epoch.incarnation for epoch in begun}
        assert incarnation in names
        assert await rival.hot_epoch(1) == HotEpoch(2, incarnation)
        assert await store.live() == Live(1, 2)

    async def test_a_hot_epoch_that_is_over_is_not_begun_again(self, store: ControlStore) -> None:
        await store.initialise(IDENTITY)
        assert await store.begin_hot_epoch(1, 1, "a") == HotEpoch(2, "a")
        assert await store.begin_hot_epoch(1, 1, "late") == HotEpoch(2, "a")
        assert await store.begin_hot_epoch(1, 7, "early") == HotEpoch(2, "a")
        assert await store.begin_hot_epoch(1, 2, "b") == HotEpoch(3, "b")

    async def test_each_generation_has_hot_epochs_of_its_own(self, store: ControlStore) -> None:
        await store.initialise(IDENTITY)
        assert await store.hot_epoch(2) == HotEpoch(0, "")
        assert await store.begin_hot_epoch(2, 0, "a") == HotEpoch(1, "a")
        assert await store.begin_hot_epoch(2, 0, "b") == HotEpoch(1, "a")
        assert await store.hot_epoch(1) == HotEpoch(1, "")

    async def test_a_request_waits_for_the_owner_of_its_partition(self, store: ControlStore) -> None:
        await store.submit(request("r1"))
        assert await store.waiting(1, [1, 2]) == [request("r1")]
        assert await store.request("r1") == request("r1")
        assert await store.waiting(1, [2, 3]) == []
        assert await store.waiting(2, [1]) == []
        assert await store.waiting(1, []) == []
        assert await store.request("unknown") is None

    async def test_requests_wait_in_the_order_in_which_they_came(self, store: ControlStore) -> None:
        names = ["m", "z", "a", "k"]
        for at, name in enumerate(names):
            await store.submit(request(name, partition=at % 2))
        assert [one.id for one in await store.waiting(1, [0, 1])] == names
        assert [one.id for one in await store.waiting(1, [1])] == ["z", "k"]

    async def test_a_request_is_kept_whole(self, store: ControlStore) -> None:
        sent = Request("r1", 2, 3, "rehydrate", [], proved_offset=LARGE_OFFSET, keep_entries=9, done=4, error="why")
        await store.submit(sent)
        assert await store.request("r1") == sent

    async def test_a_request_submitted_again_is_still_one(self, store: ControlStore) -> None:
        await store.submit(request("r1"))
        await store.finish("r1", 2, None)
        await store.submit(request("r1"))
        assert await store.waiting(1, [1]) == []

    async def test_a_request_of_too_many_sessions_is_refused(self, store: ControlStore) -> None:
        sessions = [f"acme/s{number}" for number in range(REQUEST_SESSIONS + 1)]
        with pytest.raises(LimitExceededError):
            await store.submit(msgspec.structs.replace(request("r1"), sessions=sessions))
        await store.submit(msgspec.structs.replace(request("r1"), sessions=sessions[:-1]))
        assert (await store.waiting(1, [1]))[0].sessions == sessions[:-1]

    @pytest.mark.parametrize(("done", "error"), [(2, None), (0, "no manifest proves it")])
    async def test_a_finished_request_says_how_it_ended(
        self, store: ControlStore, rival: ControlStore, done: int, error: str | None
    ) -> None:
        await store.submit(request("r1"))
        await rival.finish("r1", done, error)
        assert await store.waiting(1, [1]) == []
        assert await store.request("r1") == msgspec.structs.replace(request("r1"), done=done, error=error)

    async def test_a_forgotten_request_is_gone(self, store: ControlStore) -> None:
        await store.submit(request("r1"))
        await store.forget("r1")
        await store.forget("r1")
        await store.finish("r1", 1, None)
        assert await store.request("r1") is None
        assert await store.waiting(1, [1]) == []

    async def test_a_later_anchor_replaces_the_earlier_one_and_never_the_reverse(self, store: ControlStore) -> None:
        earlier = Anchor(0, 2, 7, "ab" * 32, LARGE_OFFSET)
        later = Anchor(0, 2, 8, "cd" * 32, LARGE_OFFSET + 5)
        assert await store.anchored(0, 2) is None
        for anchor in (earlier, earlier, later, earlier):
            await store.anchor(anchor)
        assert await store.anchored(0, 2) == later
        assert await store.anchored(0, 1) is None
        assert await store.anchored(1, 2) is None

    async def test_readers_announce_themselves_until_they_withdraw(
        self, store: ControlStore, rival: ControlStore
    ) -> None:
        old, new, late = Reader("a/1", 1, 5), Reader("b/1", 2, 6), Reader("a/1", 2, 2**40)
        assert await store.readers() == []
        for reader in (new, old):
            await store.announce(reader)
        assert await rival.readers() == [old, new]
        await rival.announce(late)
        assert await store.readers() == [late, new]
        for _ in range(2):
            await store.withdraw("b/1")
        assert await rival.readers() == [late]

    async def test_rules_in_force_rise_and_never_fall(self, store: ControlStore, rival: ControlStore) -> None:
        assert await store.rules_in_force() == 1
        await asyncio.gather(*((store, rival)[at % 2].put_in_force(rules) for at, rules in enumerate([2, 5, 3, 1])))
        assert await store.rules_in_force() == await rival.rules_in_force() == 5
        await store.put_in_force(4)
        assert await store.rules_in_force() == 5
        await store.initialise(IDENTITY)
        assert await store.rules_in_force() == 5


class TestMemoryControlStore(ControlContract):
    @pytest.fixture
    def store(self) -> MemoryControlStore:
        return MemoryControlStore()

    @pytest.fixture
    def rival(self, store: MemoryControlStore) -> MemoryControlStore:
        return store


@pytest.mark.integration
class TestMongoControlStore(ControlContract):
    @pytest.fixture
    def store(self, mongo: Client, database: str) -> MongoControlStore:
        return MongoControlStore(mongo[f"{database}_control"], mongo[f"{database}_views"])

    @pytest.fixture
    async def rival(self, services: Addresses, database: str) -> AsyncIterator[MongoControlStore]:
        async with connect(MongoSettings(url=services.mongo)) as client:
            yield MongoControlStore(client[f"{database}_control"], client[f"{database}_views"])

    async def test_an_empty_control_database_beside_filled_views_is_refused(
        self, store: MongoControlStore, mongo: Client, database: str
    ) -> None:
        views = MongoWarmStore(mongo[f"{database}_views"], 3, now_ms=lambda: 0)
        await views.ensure_indexes()
        await views.begin(0, 0, 0)
        with pytest.raises(ControlLostError, match="holds watermarks_g3"):
            await store.initialise(IDENTITY)
        assert await store.identity() is None

    async def test_empty_view_collections_are_no_views(
        self, store: MongoControlStore, mongo: Client, database: str
    ) -> None:
        await MongoWarmStore(mongo[f"{database}_views"], 1, now_ms=lambda: 0).ensure_indexes()
        await store.initialise(IDENTITY)
        assert await store.live() == Live(1, 1)

    async def test_what_was_cut_short_is_finished(self, store: MongoControlStore, mongo: Client, database: str) -> None:
        """For every step that may have been the last one before a crash."""
        control = mongo[f"{database}_control"]
        await store.initialise(IDENTITY)
        for lost in ({"_id": "live"}, {"_id": {"$in": ["live", "g1"]}}):
            await control["generations"].delete_many(lost)
            await store.initialise(IDENTITY)
            assert await store.live() == Live(1, 1)
            assert await store.generations() == [Generation(1, FOLD_VERSION)]
