"""What is damaged, lost or wrong in the warm store is made anew from history, by the owner, and nobody else waits."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import NamedTuple

import msgspec
import pytest
from prometheus_client import REGISTRY

from everlog.adapters.memory.warm import MemoryWarmStore
from everlog.domain.stored import Loaded, StoredSession, TimelineEntry
from everlog.ports.control import Request
from everlog.ports.warm import DamagedDocumentsError, SessionWrite
from everlog.projector import rebuilding
from everlog.projector.ports import ResumeError
from everlog.projector.projection import Projection
from everlog.schemas.errors import UnavailableError
from support.conversations import PARTITION, Conversations, records_of, truth_of
from support.poison import Poison
from support.watched import CrashError, Watch, failing, silent, when
from support.world import World, assert_projected

BOTH = pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])


class Place(NamedTuple):
    """Four sessions of four entries each, and some anything; projected and proved."""

    world: World
    talks: Conversations
    projection: Projection

    @property
    def key(self) -> str:
        return self.talks.keys[0]

    async def assert_true(self, *, pending: tuple[int, ...] = ()) -> None:
        await assert_projected(self.world, truth_of(await records_of(self.world.log)), pending=pending)

    async def change(self, **changes: object) -> None:
        """Write another document, as a bug might."""
        loaded = (await self.world.warm.load([self.key]))[self.key]
        changed = msgspec.structs.replace(loaded.stored, revision=loaded.stored.revision + 1, **changes)
        await self.world.warm.write_sessions([SessionWrite(changed, loaded.base)])

    async def repair(self, *keys: str) -> Request:
        return await self.world.ask(self.projection, "repair", list(keys or (self.key,)))

    async def say(self) -> None:
        """One thing more in every session."""
        for key in self.talks.keys:
            await self.talks.say(key, "one more thing")


async def told(projected: bool = True) -> Place:
    world = await World().begin()
    talks = Conversations(world.log)
    await talks.begin()
    await talks.go_on(20)
    projection = await world.projection()
    if projected:
        await world.follow(projection)
    await world.seal()
    return Place(world, talks, projection)


@pytest.fixture
async def place() -> Place:
    return await told()


@pytest.fixture(params=[2, rebuilding.PART_RECORDS], autouse=True)
def _parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in small parts, and at once."""
    monkeypatch.setattr(rebuilding, "PART_RECORDS", request.param)


def divergences() -> float:
    return REGISTRY.get_sample_value("everlog_divergences_total") or 0.0


async def test_a_damaged_document_is_rebuilt_for_its_next_event_and_counted(place: Place) -> None:
    before = divergences()
    place.world.warm.damage(place.key)
    await place.say()
    await place.world.project()
    assert divergences() == before + 1
    await place.assert_true()


@BOTH
async def test_a_crash_at_any_call_of_a_rebuild_is_completed_by_the_next_worker(after: bool) -> None:
    async def damaged() -> World:
        place = await told()
        place.world.warm.damage(place.key)
        await place.say()
        return place.world

    seen, world = silent(), await damaged()
    await world.follow(await world.projection(seen))
    assert "drop" in seen.calls
    for number, call in enumerate(seen.calls):
        world = await damaged()
        with contextlib.suppress(CrashError):  # a load that says "damaged" has no effect after which to crash
            await world.follow(await world.projection(failing(number, CrashError(call), after=after)))
        await world.project()
        await assert_projected(world, truth_of(await records_of(world.log)))


async def test_a_worker_that_takes_over_rebuilds_what_is_damaged_of_the_last_batch(place: Place) -> None:
    place.world.warm.damage(place.key)
    projection = await place.world.projection()
    await projection.assigned([PARTITION])
    await place.assert_true()


async def test_a_document_beyond_the_watermark_that_is_damaged_is_folded_again_by_the_batch() -> None:
    """The owner crashed between its documents and its watermark; the session's creation is in that batch."""
    place = await told(projected=False)
    world = place.world
    crashing = await world.projection()
    await crashing.assigned([PARTITION])
    crashing.warm = world.patient(when(2, _crash))  # load, entries, documents
    with pytest.raises(CrashError):
        await crashing.apply(PARTITION, await records_of(world.log))
    assert await world.warm.watermark(0, PARTITION) == 0
    for key in place.talks.keys:
        if key in await world.warm.load(place.talks.keys):
            world.warm.damage(key)
            break
    await world.project(batch=5)
    await place.assert_true()


async def _crash() -> None:
    raise CrashError


async def test_a_damaged_stub_comes_back_with_its_state_and_entries(place: Place) -> None:
    assert (await place.world.ask(place.projection, "evict_session", [place.key])).done == 1
    place.world.warm.damage(place.key)
    await place.say()
    await place.world.follow(place.projection)
    assert (await place.world.stored(place.key)).timeline_from == 1
    await place.assert_true()


async def test_a_damaged_document_of_a_parked_session_is_parked_where_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = Poison(monkeypatch)
    bad = (await place.world.log.bounds(PARTITION)).end
    await place.talks.say(place.key, "bad", id="poison-1")
    await place.say()
    await place.world.follow(place.projection)
    parked = (await place.world.stored(place.key)).parked
    assert parked is not None and parked.offset == bad
    place.world.warm.damage(place.key)
    await place.world.project()
    assert (await place.world.stored(place.key)).parked == parked
    poison.cure()
    place.world.warm.damage(place.key)
    projection = await place.world.project()
    assert not projection.owned[PARTITION].parked or (await place.world.stored(place.key)).parked is None
    await place.assert_true(pending=(bad, bad + 1))


async def test_a_store_that_damages_whatever_it_is_given_ends_in_a_resume(place: Place) -> None:
    class Rotten(MemoryWarmStore):
        async def load(self, keys: Collection[str]) -> dict[str, Loaded]:
            base = (await place.world.warm.load([place.key]))[place.key].base
            raise DamagedDocumentsError({place.key: base}, "damaged")

    place.projection.warm = type(place.projection.warm)(Rotten(now_ms=place.world.clock), place.projection.archive)
    with pytest.raises(ResumeError):
        await place.projection.stored(PARTITION, 0, [place.key])


async def test_a_repair_of_what_is_right_changes_nothing(place: Place) -> None:
    before = {key: await place.world.stored(key) for key in place.talks.keys}
    request = await place.repair(*place.talks.keys, "acme/never-heard-of")
    assert (request.done, request.error) == (0, None)
    assert {key: await place.world.stored(key) for key in place.talks.keys} == before
    await place.say()
    await place.world.follow(place.projection)
    await place.assert_true()


async def test_a_repair_replaces_a_state_that_history_does_not_give(place: Place) -> None:
    state = (await place.world.stored(place.key)).state
    assert state is not None
    state.view.title, before = "forged", divergences()
    await place.change(state=state)
    request = await place.repair(*place.talks.keys)
    assert (request.done, request.error, divergences()) == (1, None, before + 1)
    await place.assert_true()
    hot = [stored.key async for stored in place.world.hot_documents([place.key])]
    assert hot == [place.key]
    await place.say()
    await place.world.follow(place.projection)
    await place.assert_true()


async def test_a_repair_rebuilds_a_damaged_document(place: Place) -> None:
    place.world.warm.damage(place.key)
    assert (await place.repair()).done == 1
    await place.assert_true()


async def test_a_repair_brings_a_lost_document_back(place: Place) -> None:
    del place.world.warm._documents[place.key]
    assert (await place.repair()).done == 1
    await place.assert_true()


async def test_a_repair_brings_lost_and_wrong_entries_back_and_leaves_evicted_ones(place: Place) -> None:
    request = await place.world.ask(place.projection, "evict_timeline", [place.key], keep_entries=3)
    assert request.done == 1
    version = (await place.world.stored(place.key)).version
    kept = await place.world.warm.timeline(place.key, 1, version)
    await place.world.warm.delete_timeline(place.key, version - 1, version)
    await place.world.warm.insert_timeline([(place.key, TimelineEntry(version, 1, 1, b"forged"))])
    assert (await place.repair()).done == 1
    assert await place.world.warm.timeline(place.key, 1, version) == kept
    assert await place.world.hot.at_epoch(1).tail(place.key) == kept


async def test_a_repair_takes_back_what_was_redacted_and_leaves_what_was_blanked(place: Place) -> None:
    await place.talks.edit(place.key, 2, "again")
    await place.talks.redact(place.key, 2)
    await place.world.follow(place.projection)
    assert (await place.repair()).done == 0
    truth = truth_of(await records_of(place.world.log))
    (whole,) = [entry for entry in truth.entries[place.key] if entry.version == 2]
    await place.world.warm.delete_timeline(place.key, 2, 2)
    await place.world.warm.insert_timeline([(place.key, whole)])
    assert (await place.repair()).done == 1
    await place.assert_true()
    assert await place.world.hot.at_epoch(1).tail(place.key) == truth.shown[place.key]


async def test_a_repair_corrects_a_stub_and_leaves_it_one(place: Place) -> None:
    assert (await place.world.ask(place.projection, "evict_session", [place.key])).done == 1
    stub = (await place.world.stored(place.key)).stub
    assert stub is not None
    await place.change(stub=type(stub)(stub.version, stub.status, stub.labels, "forged"))
    assert (await place.repair()).done == 1
    assert (await place.world.stored(place.key)).stub == stub


async def test_a_repair_leaves_a_parked_session_where_it_waits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    poison = Poison(monkeypatch)
    bad = (await place.world.log.bounds(PARTITION)).end
    await place.talks.say(place.key, "bad", id="poison-1")
    await place.world.follow(place.projection)
    parked = (await place.world.stored(place.key)).parked
    state = (await place.world.stored(place.key)).state
    assert state is not None
    state.view.title = "forged"
    await place.change(state=state)
    for done in (1, 0):
        assert (await place.repair()).done == done
        assert (await place.world.stored(place.key)).parked == parked
    poison.cure()
    assert (await place.world.ask(place.projection, "redrive", [place.key])).done == 1
    await place.assert_true(pending=(bad,))


async def test_a_repair_with_a_fold_that_raises_where_it_did_not_changes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.talks.say(place.key, "bad", id="poison-1")
    await place.world.follow(place.projection)
    before = await place.world.stored(place.key)
    Poison(monkeypatch)
    request = await place.repair()
    assert request.error is not None and "raises ZeroDivisionError" in request.error
    assert await place.world.stored(place.key) == before


async def test_a_repair_invents_nothing_where_history_has_no_such_session(place: Place) -> None:
    state = (await place.world.stored(place.key)).state
    assert state is not None
    forged = StoredSession(place.talks.keys[0] + "-forged", 0, PARTITION, 3, state)
    await place.world.warm.write_sessions([SessionWrite(forged, None)])
    request = await place.repair(forged.key)
    assert request.error is not None and "history has no session" in request.error


async def test_events_that_come_during_a_repair_are_not_lost(place: Place) -> None:
    state = (await place.world.stored(place.key)).state
    assert state is not None
    state.view.title = "forged"
    await place.change(state=state)

    async def go_on() -> None:
        await place.say()
        first = place.projection.owned[PARTITION].watermark
        await place.projection.apply(PARTITION, (await records_of(place.world.log))[first:])

    place.projection.history = place.world.history(when(0, go_on))
    assert (await place.repair()).done == 1
    await place.assert_true()


@BOTH
async def test_a_crash_at_any_call_of_a_repair_is_completed_by_the_next_one(after: bool) -> None:
    async def wrong(watch: Watch) -> Place:
        place = await told()
        state = (await place.world.stored(place.key)).state
        assert state is not None
        state.view.title = "forged"
        await place.change(state=state)
        await place.world.warm.delete_timeline(place.key, 2, 3)
        place.projection.warm = place.world.patient(watch)
        return place

    seen = silent()
    await (await wrong(seen)).repair()
    assert {"load", "timeline", "insert_timeline", "write_sessions"} <= set(seen.calls)
    for number, call in enumerate(seen.calls):
        place = await wrong(failing(number, CrashError(call), after=after))
        assert (await place.repair()).error is not None
        place = Place(place.world, place.talks, await place.world.project())
        assert (await place.repair()).error is None
        await place.assert_true()


async def test_an_archive_that_is_away_fails_the_repair_and_changes_nothing(place: Place) -> None:
    before = await place.world.stored(place.key)
    error = UnavailableError("the object store", "no answer")

    async def fail(name: str) -> None:
        raise error

    place.projection.history = place.world.history(objects=Watch(fail))
    request = await place.repair()
    assert request.error is not None and "no answer" in request.error
    assert await place.world.stored(place.key) == before
