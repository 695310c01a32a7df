"""Crashes at every call of every store, in a story with everything in it, and what readers see at each moment.

The story: four sessions of anything, a bad event in one, another one evicted to a stub that gets an event, messages
taken back; then the bug is cured, the parked session redriven and the cold one brought back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import pytest

from everlog.domain.redaction import is_copy
from everlog.domain.verdicts import PENDING
from everlog.ports.hot import Outcomes
from everlog.ports.log import LogRecord
from everlog.projector.projection import Projection
from everlog.projector.retrying import Retries
from support.conversations import PARTITION, Conversations, Truth, records_of, truth_of
from support.poison import Poison
from support.watched import CrashError, Watch, failing, silent
from support.world import World, assert_projected

BOTH = pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
BATCH = 6


class Story:
    """The log of the story as far as it is told; every run follows one of its own."""

    def __init__(self, poison: Poison) -> None:
        self.poison = poison
        self.ill, self.cold, self.regretful = "", "", ""

    async def world(self) -> World:
        """Sessions whose first batches are projected and proved; one of them is a stub, to which somebody writes."""
        self.poison.works = True
        world = await World().begin()
        talks = Conversations(world.log, seed=3)
        self.ill, self.cold, self.regretful, *_ = talks.keys
        await talks.begin()
        projection = await world.project()
        await world.seal()
        assert (await world.ask(projection, "evict_session", [self.cold])).done == 1
        await talks.go_on(5)
        await talks.edit(self.regretful, 2, "What I should not have said")
        await talks.say(self.ill, "bad", id="poison-1")
        await talks.redact(self.ill, 3)
        await talks.say(self.cold, "Do you remember me?")
        await talks.go_on(7)
        await talks.redact(self.regretful, 2)
        return world

    async def run(self, world: World, watch: Watch) -> None:
        """What a worker does from then on; every call of the log and of the stores is watched."""
        projection = await self.owner(world, watch)
        await world.follow(projection, batch=BATCH)
        self.poison.cure()
        await self.put_right(world, projection)

    async def owner(self, world: World, watch: Watch) -> Projection:
        """A worker whose pauses between two tries cost nothing."""
        projection = await world.projection(watch)
        projection.archive = Retries("archive", world.later)
        return projection

    async def put_right(self, world: World, projection: Projection) -> None:
        """Redrive what is parked, bring back what is cold."""
        owned, redriver = projection.owned[PARTITION], world.redriver(projection)
        for key in list(owned.parked):
            await redriver.redrive(owned, key)

    async def truth(self, world: World) -> Truth:
        """What the log comes to when the fold is right."""
        works, self.poison.works = self.poison.works, False
        truth = truth_of(await records_of(world.log))
        self.poison.works = works
        return truth

    async def passed_over(self, world: World) -> list[int]:
        """Offsets of the two sessions that waited."""
        return [one.offset for one in await records_of(world.log) if one.key in (self.ill.encode(), self.cold.encode())]

    async def calls(self) -> list[str]:
        """The calls of an undisturbed run."""
        watch = silent()
        await self.run(await self.world(), watch)
        return watch.calls


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    return Story(Poison(monkeypatch))


@BOTH
async def test_a_crash_at_any_call_of_the_story_leaves_what_the_next_worker_completes(
    story: Story, after: bool
) -> None:
    calls = await story.calls()
    assert {"load", "insert_timeline", "insert_rejections", "write_sessions", "close_batch", "put", "publish"} <= set(
        calls
    )
    for number, call in enumerate(calls):
        world = await story.world()
        with contextlib.suppress(CrashError):
            await story.run(world, failing(number, CrashError(call), after=after))
        story.poison.cure()
        following = await world.project(batch=4)
        await story.put_right(world, following)
        await assert_projected(world, await story.truth(world), pending=await story.passed_over(world))


@BOTH
async def test_a_second_crash_of_the_worker_that_completes_it_is_survived_as_well(story: Story, after: bool) -> None:
    calls = await story.calls()
    for number in range(0, len(calls), 3):
        for second in range(1, len(calls) // 2, 7):
            world = await story.world()
            for crash in (number, second):
                with contextlib.suppress(CrashError):
                    await story.run(world, failing(crash, CrashError(), after=after))
            story.poison.cure()
            await story.put_right(world, await world.project(batch=5))
            await assert_projected(world, await story.truth(world), pending=await story.passed_over(world))


class Reader:
    """Looks at the stores as gateways do, at every call of the one who writes them."""

    def __init__(self, world: World, truth: Truth, records: list[LogRecord], published: Callable[[], list[Outcomes]]):
        self.world, self.truth, self.published = world, truth, published
        self.keys = sorted(truth.hashes)
        self.told: dict[int, int] = {}
        self.crashed = False
        """Then documents may hold records of a larger batch that comes again: warm readers see those, too."""

    async def look(self, name: str) -> None:
        """Everything that may never be seen otherwise. ``name`` is the call that begins or has ended."""
        warm, watermark = self.world.warm, await self.world.warm.watermark(0, PARTITION) or 0
        for key, loaded in (await warm.load(self.keys)).items():
            stored = loaded.stored
            shown = range(stored.timeline_from, stored.version + 1)
            entries = await warm.timeline(key, 1, stored.version)
            assert [one.version for one in entries if one.version >= stored.timeline_from] == list(shown), name
            last = self.truth.entries[key][stored.version - 1 : stored.version][: len(entries)]
            assert all(is_copy(found, entry) for found, entry in zip(entries[-1:], last, strict=True)), name
        for offset in range(watermark):
            outcome = await warm.outcome(0, PARTITION, offset)
            assert outcome in (self.truth.outcomes[offset], PENDING), f"{name}: outcome of {offset}"
        async for shown_hot in self.world.hot_documents(self.keys):
            assert self.crashed or shown_hot.offset < watermark, f"{name}: hot is ahead of the watermark"
            kept = (await warm.load([shown_hot.key]))[shown_hot.key].stored
            assert (shown_hot.version, shown_hot.offset) <= (kept.version, kept.offset), f"{name}: hot is ahead of warm"
        for batch in self.published():
            assert batch.first + len(batch.packed) <= watermark, f"{name}: published before it was stored"
            for offset, packed in enumerate(batch.packed, batch.first):
                if packed != PENDING:
                    assert self.told.setdefault(offset, packed) == packed == self.truth.outcomes[offset], name


async def watched_by_a_reader(story: Story, disturb: Callable[[Reader], Awaitable[Watch]]) -> None:
    world = await story.world()
    queued: list[Outcomes] = []
    async with world.hot.subscribe() as outcomes:
        subscribers = world.hot._subscribers

        def published() -> list[Outcomes]:
            (queue,) = subscribers
            while not queue.empty():
                queued.append(queue.get_nowait())
            return queued

        reader = Reader(world, await story.truth(world), await records_of(world.log), published)
        with contextlib.suppress(CrashError):
            await story.run(world, await disturb(reader))
        story.poison.cure()
        following = await story.owner(world, Watch(reader.look, reader.look))
        await world.follow(following, batch=4)
        await story.put_right(world, following)
        await reader.look("the end")
        assert aiter(outcomes)
    await assert_projected(world, await story.truth(world), pending=await story.passed_over(world))


async def test_at_no_moment_does_a_reader_see_what_is_not_stored_below(story: Story) -> None:
    async def undisturbed(reader: Reader) -> Watch:
        return Watch(reader.look, reader.look)

    await watched_by_a_reader(story, undisturbed)


@BOTH
async def test_after_a_crash_at_any_call_readers_see_nothing_that_is_not_stored_below(
    story: Story, after: bool
) -> None:
    for number in range(len(await story.calls())):

        async def crash(reader: Reader, number: int = number) -> Watch:
            reader.crashed = True
            return failing(number, CrashError(), after=after)

        await watched_by_a_reader(story, crash)
