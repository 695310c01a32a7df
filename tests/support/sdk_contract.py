"""What the SDK promises, whatever answers it: the double in memory, the gateway over stores in memory, everything real.

A subclass gives the fixture ``everlog``. Sessions have fresh names, so the suite may run against what is in use.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest

from everlog.client import (
    AlreadyExistsError,
    ClosedError,
    DeltaFrame,
    DormantError,
    Everlog,
    FencedError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    InvalidEventError,
    KeyConflictError,
    LeaseHeldError,
    LimitExceededError,
    Message,
    MessageEdited,
    MessageRedacted,
    NotFoundError,
    Part,
    Session,
    StatePatch,
    TimelineEvent,
    UnknownReferenceError,
    VersionConflictError,
    data,
    text,
)
from everlog.client.sync import SyncEverlog
from support.waiting import until

WAIT_S = 20.0


class Gateway(Protocol):
    """Something that clients can be connected to."""

    def connect(
        self, *, principal: str = "ada", role: str = "editor", spool: str | os.PathLike[str] | None = None
    ) -> Everlog:
        """A client for ``await``."""

    def connect_sync(self, *, principal: str = "ada", role: str = "editor") -> SyncEverlog:
        """A client without."""


def said(content: str) -> Message:
    """A message of a user."""
    return Message(role="user", parts=[text(content)])


def fresh() -> str:
    """A session id that nobody has."""
    return f"rome-{uuid.uuid4().hex[:12]}"


async def types(chat: Session, after: int = 0) -> list[str]:
    """The types of a session's events, short."""
    return [event.type.removeprefix("everlog.").removesuffix(".v1") async for event in chat.timeline(after=after)]


async def first_interrupt(log: Everlog, chat: Session) -> str:
    """The interrupt that is pending in a session, waited for."""

    async def pending() -> list[str]:
        return (await chat.state()).open.interrupts

    found: list[str] = await until(pending, what="a pending interrupt")
    return found[0]


class SdkContract:
    """The suite."""

    @pytest.fixture
    async def log(self, everlog: Gateway) -> AsyncIterator[Everlog]:
        async with everlog.connect() as log:
            yield log

    @pytest.fixture
    async def chat(self, log: Everlog) -> Session:
        return await log.create(fresh(), title="Trip to Rome", state={"city": "Bari"})

    async def test_the_example_of_the_interfaces_runs(self, everlog: Gateway) -> None:
        name = fresh()
        async with everlog.connect() as log:
            chat = await log.create(name, title="Trip to Rome", labels={"team": "support"}, if_exists="open")
            chat = log.session(name)
            async with chat.join("planner", kind="agent", lease_ttl_s=30) as me:
                done = await me.append(Message(role="assistant", parts=[text("Hello")]))
                patched = await me.patch({"city": "Rome"}, expected_keys={"city": 0})
                assert patched.version is not None
                await me.append([said("two"), StatePatch(set={"n": 1})], expected_version=patched.version)
                async with me.run(agent="planner") as run:
                    call = await run.tool_call("search", {"q": "hotels"})
                    await call.complete([data({"hotels": 3})])
                    asking = asyncio.create_task(
                        run.interrupt(reason="approval", message="Book it?", response_schema={"type": "object"})
                    )
                    await chat.resolve(await first_interrupt(log, chat), {"approved": True})
                    decision = await asking
            assert (decision.is_answered, decision.payload, decision.resolved_by) == (True, {"approved": True}, "ada")
            context = await chat.messages(last=50, view="model")
            assert [message.role for message in context] == ["assistant", "user", "assistant", "tool"]
            state = await chat.state(min_version=done.version)
            assert (state.state, state.tier) == ({"city": "Rome", "n": 1}, "hot")
            assert state.open.runs == state.open.interrupts == []
            old = await chat.state(at_version=3)
            assert (old.version, old.participants[-1].lease_epoch) == (3, 3)
            followed = []
            async with contextlib.aclosing(chat.follow(after=2)) as events:
                async for event in events:
                    followed.append(event.version)
                    if event.version == state.version:
                        break
            assert followed == list(range(3, state.version + 1))

    async def test_an_existing_session_is_an_error_or_is_opened(self, log: Everlog, chat: Session) -> None:
        with pytest.raises(AlreadyExistsError):
            await log.create(chat.id, title="Other")
        assert (await log.create(chat.id, title="Other", if_exists="open")).id == chat.id
        assert (await chat.state()).title == "Trip to Rome"

    async def test_conflicts_say_what_happened_meanwhile(self, chat: Session) -> None:
        await chat.patch({"city": "Oslo"})
        with pytest.raises(VersionConflictError) as version:
            await chat.append(said("late"), expected_version=1)
        assert version.value.actual_version == 2
        assert [event["version"] for event in version.value.events][-1] == 2
        with pytest.raises(KeyConflictError) as keys:
            await chat.patch({"city": "Bonn"}, expected_keys={"city": 1})
        assert (keys.value.keys, keys.value.actual_version) == (("city",), 2)

    async def test_the_same_event_id_gets_the_first_answer(self, chat: Session) -> None:
        first = await chat.append(said("x"), event_id="mine")
        again = await chat.append(said("x"), event_id="mine")
        assert (again.version, again.result) == (first.version, "duplicate")
        with pytest.raises(IdempotencyKeyReusedError):
            await chat.append(said("y"), event_id="mine")

    async def test_a_durable_append_tells_its_verdict_later(self, chat: Session) -> None:
        done = await chat.append(said("x"), wait="durable")
        assert (done.version, done.result, done.is_acknowledged) == (None, "pending", True)
        assert (await done.outcome()).version == 2
        with pytest.raises(VersionConflictError) as caught:  # at once, where it is certain before the log says so
            await (await chat.append(said("y"), wait="durable", expected_version=1)).outcome()
        assert caught.value.actual_version == 2

    async def test_every_refusal_has_its_error(self, everlog: Gateway, log: Everlog, chat: Session) -> None:
        with pytest.raises(NotFoundError):
            await log.session(fresh()).append(said("x"))
        with pytest.raises(NotFoundError):
            await log.session(fresh()).state()
        with pytest.raises(NotFoundError):
            await chat.state(at_version=99)
        with pytest.raises(InvalidEventError) as invalid:
            await chat.append("message.appended", {"role": "boss", "parts": []})
        assert len(invalid.value.errors) == 2
        with pytest.raises(LimitExceededError) as size:
            await chat.append(said("x" * 300_000))
        assert (size.value.maximum, size.value.actual is not None) == (256 * 1024, True)
        with pytest.raises(LimitExceededError) as bound:
            await chat.patch({f"key-{number}": number for number in range(256)})
        assert bound.value.limit == "state_keys"
        with pytest.raises(UnknownReferenceError):
            await chat.append(Message(role="user", parts=[text("x")], run="none"))
        async with everlog.connect(principal="bob") as bobs:
            with pytest.raises(ForbiddenError):
                await bobs.session(chat.id).append(said("x"))
        await chat.suspend()
        with pytest.raises(DormantError):
            await chat.append(said("x"))
        await chat.resume()
        await chat.close("booked")
        with pytest.raises(ClosedError):
            await chat.append(said("x"))
        await chat.reopen()
        await chat.append(said("x"))

    async def test_who_joins_acts_until_it_leaves(self, everlog: Gateway, chat: Session) -> None:
        async with everlog.connect(principal="bob") as bobs:
            async with bobs.session(chat.id).join("bob") as me:
                await me.append(said("Hi"))
                assert me.epoch is None
            with pytest.raises(ForbiddenError):
                await bobs.session(chat.id).append(said("gone"))
            with pytest.raises(ForbiddenError):
                async with bobs.session(chat.id).join("bob", role="owner"):
                    pass
        assert await types(chat, 1) == ["participant.joined", "message.appended", "participant.left"]

    async def test_leaving_what_was_closed_meanwhile_is_no_error(self, everlog: Gateway, chat: Session) -> None:
        async with everlog.connect(principal="bob") as bobs, bobs.session(chat.id).join("bob"):
            await chat.close()
        assert (await chat.state()).status == "closed"

    async def test_a_lost_lease_fences_every_write_and_cancels_nothing(self, chat: Session) -> None:
        async with chat.join("planner", kind="agent") as me:
            await me.append(said("mine"))
            await chat.append("lease.revoked", {"participant": "planner", "epoch": me.epoch})
            with pytest.raises(FencedError):
                await me.append(said("not mine any more"))
            assert me.is_fenced
            await asyncio.wait_for(me.fenced(), 1)
            with pytest.raises(FencedError, match="has lost its lease"):
                await me.patch({"city": "Oslo"})
        assert [each.text for message in await chat.messages() for each in parts(message)] == ["mine"]

    async def test_a_heartbeat_finds_out_that_the_lease_is_lost(self, chat: Session) -> None:
        async with chat.join("planner", kind="agent", lease_ttl_s=1) as me:
            await chat.append("lease.revoked", {"participant": "planner", "epoch": me.epoch})
            await asyncio.wait_for(me.fenced(), WAIT_S)
            with pytest.raises(FencedError):
                await me.append(said("late"))

    async def test_heartbeats_keep_a_lease_beyond_its_life(self, everlog: Gateway, chat: Session) -> None:
        async with chat.join("planner", kind="agent", lease_ttl_s=1) as me:
            with pytest.raises(LeaseHeldError) as held:
                async with chat.join("planner", kind="agent", lease_ttl_s=1, lease_wait_s=2.5):
                    pass
            assert held.value.epoch == me.epoch
            await me.append(said("still mine"))

    async def test_a_dead_holder_is_taken_over_and_its_zombie_is_fenced(self, chat: Session) -> None:
        dead = chat.join("planner", kind="agent", lease_ttl_s=1)
        zombie = await dead.__aenter__()
        await stop_heartbeats(dead)
        async with chat.join("planner", kind="agent", lease_ttl_s=1, lease_wait_s=WAIT_S) as me:
            assert (me.epoch or 0) > (zombie.epoch or 0)
            await me.append(said("mine"))
            with pytest.raises(FencedError):
                await zombie.append(said("not mine"))
            await dead.__aexit__(None, None, None)
            await me.append(said("still mine"))

    async def test_a_run_that_raises_has_failed_with_its_open_calls(self, chat: Session) -> None:
        with pytest.raises(ValueError, match="no hotels"):
            async with chat.join("planner", kind="agent") as me, me.run("planner") as run:
                await run.tool_call("search", {"q": "hotels"})
                raise ValueError("no hotels")
        state = await chat.state()
        assert (state.open.runs, state.open.tool_calls) == ([], [])
        (batch,) = [event async for event in chat.timeline() if event.type.endswith("batch.appended.v1")]
        failed, ended = batch.data["events"]
        assert (failed["type"], failed["data"]["error"]["type"]) == ("everlog.tool_call.failed.v1", "ValueError")
        assert (ended["type"], ended["data"]["error"]["message"]) == ("everlog.run.failed.v1", "no hotels")
        assert batch.correlation_id == run.id

    async def test_a_tool_call_as_a_context_fails_with_its_body(self, chat: Session) -> None:
        async with chat.run("planner") as run:
            with pytest.raises(LookupError):
                async with run.tool_call("search"):
                    raise LookupError("nothing found")
            async with run.run("helper") as inner:
                await inner.append(said("inside"))
            run.add_usage(input_tokens=3, output_tokens=2)
            run.add_usage(input_tokens=4)
        events = [event async for event in chat.timeline(after=1)]
        assert [event.type.split(".")[1:3] for event in events] == [
            ["run", "started"], ["tool_call", "requested"], ["tool_call", "failed"],
            ["run", "started"], ["message", "appended"], ["run", "completed"], ["run", "completed"],
        ]  # fmt: skip
        assert events[3].data["parent_run"] == run.id
        assert events[4].data["run"] == inner.id
        assert (await chat.state()).usage.input_tokens == 7

    async def test_a_cancelled_run_is_canceled_and_takes_its_question_back(self, log: Everlog, chat: Session) -> None:
        async def work() -> None:
            async with chat.run("planner") as run:
                await run.interrupt(reason="approval", message="Book it?")

        working = asyncio.create_task(work())
        await first_interrupt(log, chat)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert await types(chat, 1) == ["run.started", "interrupt.raised", "interrupt.resolved", "run.canceled"]
        assert (await chat.state()).open.interrupts == []

    async def test_a_question_that_nobody_answers_in_time_is_taken_back(self, chat: Session) -> None:
        async with chat.run("planner") as run:
            with pytest.raises(TimeoutError):
                await run.interrupt(reason="approval", message="Book it?", timeout_s=0.2)
        assert (await chat.state()).open.interrupts == []

    async def test_a_question_in_a_session_that_is_closed_ends(self, log: Everlog, chat: Session) -> None:
        async with contextlib.AsyncExitStack() as stack:
            run = await stack.enter_async_context(chat.run("planner"))
            asking = asyncio.create_task(run.interrupt(reason="approval", message="Book it?"))
            await first_interrupt(log, chat)
            await chat.close()
            with pytest.raises(ClosedError):
                await asking
            stack.pop_all()

    async def test_a_question_of_who_lost_its_lease_ends(self, log: Everlog, chat: Session) -> None:
        with pytest.raises(FencedError):
            async with chat.join("planner", kind="agent") as me, me.run("planner") as run:
                asking = asyncio.create_task(run.interrupt(reason="approval", message="Book it?"))
                await first_interrupt(log, chat)
                await chat.append("lease.revoked", {"participant": "planner", "epoch": me.epoch})
                await asking
        assert (await chat.state()).open.interrupts == []

    async def test_a_run_that_cannot_be_closed_says_so_in_a_note(self, chat: Session) -> None:
        with pytest.raises(ValueError, match="no hotels") as caught:
            async with chat.run("planner"):
                await chat.close()
                raise ValueError("no hotels")
        assert "The run stays open" in caught.value.__notes__[0]

    async def test_pending_interrupts_of_all_sessions_are_listed(self, log: Everlog, chat: Session) -> None:
        async with chat.run("planner") as run:
            asking = asyncio.create_task(run.interrupt(reason="approval", message="Book it?"))
            await first_interrupt(log, chat)
            (found,) = [each async for each in log.interrupts() if each.session == chat.id]
            assert (found.reason, found.message) == ("approval", "Book it?")
            await chat.resolve(found.interrupt, "no", status="cancelled")
            assert (await asking).is_answered is False

    async def test_messages_are_shown_as_they_are_now(self, chat: Session) -> None:
        first, second = await chat.append(said("Hello")), await chat.append(said("secret"))
        assert first.version is not None
        assert second.version is not None
        await chat.append(MessageEdited(version=first.version, parts=[text("Hello!")]))
        await chat.append(MessageRedacted(version=second.version, reason="a phone number"))
        await chat.append([said(str(number)) for number in range(5)])
        shown = await chat.messages()
        assert [(m.edited, m.redacted) for m in shown] == [(True, False), (False, True), *[(False, False)] * 5]
        assert [[each.text for each in parts(m)] for m in shown][:2] == [["Hello!"], []]
        assert [each.text for m in await chat.messages(last=2) for each in parts(m)] == ["3", "4"]
        assert [m.version for m in await chat.messages(view="raw")] == [m.version for m in shown]
        events = [event async for event in chat.timeline()]
        assert [event.data["parts"][0]["text"] for event in events if event.version in (2, 3)] == ["Hello", ""]

    async def test_following_begins_where_it_is_asked_to_and_goes_on(self, chat: Session) -> None:
        await chat.append(said("before"))
        seen: list[int] = []

        async def look(count: int, after: int | None) -> list[int]:
            versions = []
            async with contextlib.aclosing(chat.follow(after=after)) as events:
                async for event in events:
                    versions.append(event.version)
                    seen.append(event.version)
                    if len(versions) == count:
                        break
            return versions

        old = asyncio.create_task(look(3, 0))
        await until(lambda: len(seen) == 2, what="the events of before")
        await chat.append(said("while"))
        assert await asyncio.wait_for(old, WAIT_S) == [1, 2, 3]

    async def test_deltas_come_between_the_events_and_are_kept_nowhere(self, chat: Session) -> None:
        shown: list[TimelineEvent | DeltaFrame] = []

        async def look() -> None:
            async with contextlib.aclosing(chat.follow(after=1, deltas=True)) as frames:
                async for frame in frames:
                    shown.append(frame)
                    if isinstance(frame, TimelineEvent) and "completed" in frame.type:
                        break

        looking = asyncio.create_task(look())
        async with chat.join("planner", kind="agent") as me, me.run("planner") as run:
            await until(lambda: shown, what="the stream")
            await run.delta("Hel")
            await run.delta("lo")
            await until(lambda: len([each for each in shown if isinstance(each, DeltaFrame)]) == 2, what="the deltas")
            await run.append(Message(role="assistant", parts=[text("Hello")]))
        await asyncio.wait_for(looking, WAIT_S)
        deltas = [frame for frame in shown if isinstance(frame, DeltaFrame)]
        assert [(each.run, each.participant, each.seq, each.text) for each in deltas] == [
            (run.id, "planner", 0, "Hel"), (run.id, "planner", 1, "lo"),
        ]  # fmt: skip

    async def test_many_writers_of_one_key_all_come_through(self, chat: Session) -> None:
        await chat.patch({"n": 0})
        updates = await asyncio.gather(*(chat.update("n", lambda n: n + 1, attempts=50) for _ in range(8)))
        newest = max(update.appended.version or 0 for update in updates)
        assert (await chat.state(min_version=newest)).state["n"] == 8
        assert sorted(update.value for update in updates) == list(range(1, 9))
        assert max(update.attempts for update in updates) > 1

    async def test_rebasing_gives_the_newer_state_and_ends_after_its_attempts(self, chat: Session) -> None:
        tried: list[tuple[int, int]] = []
        async for attempt in chat.rebasing(attempts=3):
            async with attempt as state:
                tried.append((attempt.number, state.version))
                if attempt.number < 3:
                    await chat.append(said("in between"))
                await chat.append(said("mine"), expected_version=state.version)
        assert tried == [(1, 1), (2, 2), (3, 3)]
        with pytest.raises(VersionConflictError):
            async for attempt in chat.rebasing(attempts=2):
                async with attempt:
                    await chat.append(said("never"), expected_version=1)

    async def test_sessions_are_listed_by_what_they_are_labelled_with(self, log: Everlog) -> None:
        label = fresh()
        names = [fresh() for _ in range(3)]
        for name in names:
            await log.create(name, title=f"Trip {name}", labels={"batch": label})
        await log.session(names[0]).close()

        async def all_listed() -> bool:
            return len([each async for each in log.list(labels={"batch": label})]) == len(names)

        await until(all_listed, what="the sessions in the list")
        found = [each.session async for each in log.list(labels={"batch": label}, status="active")]
        assert sorted(found) == sorted(names[1:])
        assert [each.session async for each in log.search(names[2], labels={"batch": label})] == [names[2]]
        assert len([each async for each in log.list(labels={"batch": label}, limit=2)]) == 2

    async def test_title_and_labels_change_by_name(self, chat: Session) -> None:
        await chat.update_metadata(title="Sea", labels={"team": "support", "kind": "trip"})
        done = await chat.update_metadata(labels={"team": None})
        state = await chat.state(min_version=done.version)
        assert (state.title, state.labels) == ("Sea", {"kind": "trip"})

    async def test_a_role_that_may_not_write_is_refused(self, everlog: Gateway, chat: Session) -> None:
        async with everlog.connect(role="viewer") as viewers:
            with pytest.raises(ForbiddenError):
                await viewers.session(chat.id).append(said("x"))

    async def test_the_face_without_await_does_the_same(self, everlog: Gateway) -> None:
        await asyncio.to_thread(talk_without_await, everlog)


def talk_without_await(everlog: Gateway) -> None:
    """A conversation by the face without await."""
    name = fresh()
    with everlog.connect_sync() as log:
        chat = log.create(name, title="Trip", if_exists="open")
        with chat.join("planner", kind="agent") as me:
            done = me.append(Message(role="assistant", parts=[text("Hello")]))
            assert (done.version, done.outcome().version) == (4, 4)
            with me.run("planner") as run:
                with run.tool_call("search", {"q": "hotels"}) as call:
                    call.complete([data(3)])
                with pytest.raises(ValueError, match="wrong"), run.run("helper"):
                    raise ValueError("wrong")
            me.update("n", lambda n: (n or 0) + 1)
            for attempt in me.rebasing():
                with attempt as state:
                    me.patch({"n": state.state["n"] + 1}, expected_keys={"n": state.key_versions["n"]})
        assert chat.state().state == {"n": 2}
        assert [message.role for message in chat.messages()] == ["assistant", "assistant", "tool"]
        for event in chat.follow(after=0):
            if event.type == "everlog.run.failed.v1":
                break
        assert event.data["error"]["type"] == "ValueError"
        assert [each.version for each in chat.timeline(limit=2)] == [1, 2]
        with pytest.raises(VersionConflictError):
            chat.append(said("late"), expected_version=1)


def parts(message: Any) -> list[Any]:
    """The parts of a message, typed."""
    return [Part.model_validate(part) for part in message.parts]


async def stop_heartbeats(membership: Any) -> None:
    """What happens to a process that hangs: nobody hears of it any more."""
    membership._beating.cancel()
    await asyncio.gather(membership._beating, return_exceptions=True)
