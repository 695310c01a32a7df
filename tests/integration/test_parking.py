"""One bad event on the real services: its session waits, nobody else does, and a redrive brings it up to date."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from everlog.archiver.settings import ArchiverSettings
from everlog.cli.composition import Stores, StoreSettings, open_stores
from everlog.cli.projector import compose
from everlog.cli.services import initialise
from everlog.domain.fold import replay_session, route
from everlog.domain.record import LogRecord, partition_of
from everlog.domain.state import state_hash
from everlog.domain.stored import COLD, StoredSession
from everlog.domain.verdicts import PENDING
from everlog.local.stack import Addresses
from everlog.ports.warm import SessionWrite
from everlog.producers import Producer
from everlog.projector.projection import Projection
from everlog.projector.settings import ProjectorSettings
from support.deployment import variables_of
from support.events import TENANT, said, value
from support.poison import SECRET, Poison
from support.waiting import until
from support.watched import Watch

pytestmark = pytest.mark.integration

DEADLINE_S = 60.0
SESSIONS, EVENTS = 20, 100_000
EVENTS_MEANWHILE = 5_000
"""Appended while the redrive is under way."""
IN_FLIGHT = 500
"""Appends that one talk has under way at once."""
ILL = f"{TENANT}/ill"


@pytest.fixture
async def stores(services: Addresses, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stores]:
    """A log and stores of this test alone, as ``everlog init`` makes them."""
    name = f"parking-{uuid.uuid4().hex[:8]}"
    for variable, text in variables_of(services, name, partitions=2).items():
        monkeypatch.setenv(variable, text)
    await asyncio.to_thread(initialise)
    async with open_stores(StoreSettings.load()) as stores:
        yield stores


@asynccontextmanager
async def projecting(stores: Stores) -> AsyncIterator[Projection]:
    """A worker of the projector in this process, so that its fold can be made ill."""
    settings = ProjectorSettings(request_poll_ms=50, session_timeout_s=6, cached_sessions=1_000)
    service = await compose(stores, 1, settings)
    working = asyncio.create_task(service.run())
    try:
        yield service.projection
    finally:
        await service.worker.stop()
        await working


async def up_to_date(stores: Stores) -> None:
    """Until the views have seen the whole log."""
    warm, era = stores.warm(1), stores.identity.era

    async def done() -> bool:
        ends = [(await stores.log.bounds(partition)).end for partition in range(stores.identity.partitions)]
        return [await warm.watermark(era, partition) or 0 for partition in range(len(ends))] == ends

    await until(done, timeout_s=DEADLINE_S, what="the projection is behind")


async def stored(stores: Stores, key: str) -> StoredSession:
    return (await stores.warm(1).load([key]))[key].stored


async def true_hash(stores: Stores, key: str) -> str:
    """The state hash of all that the log has of a session; ask when the fold is cured."""
    partition = partition_of(key.encode(), stores.identity.partitions)
    records = await stores.history.records(key, 0, (await stores.log.bounds(partition)).end)
    state, _ = replay_session(key, records, stores.identity.era, partition)
    assert state is not None
    return state_hash(state)


def created(key: str) -> bytes:
    return value("session.created", {"owner": "ada"}, subject=key.partition("/")[2])


def message(key: str, text: str) -> bytes:
    return said(text, subject=key.partition("/")[2])


async def everlog(*arguments: str) -> tuple[int, str, str]:
    """The command in a process of its own, while the projector runs in this one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "everlog.cli",
        *arguments,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def talk(producer: Producer, keys: list[str], events: int) -> None:
    """So many events, in turn, several at a time."""
    for first in range(0, events, IN_FLIGHT):
        turns = [keys[at % len(keys)] for at in range(first, min(events, first + IN_FLIGHT))]
        await asyncio.gather(*(producer.append(key, message(key, "hello")) for key in turns))


async def whole_log(stores: Stores) -> dict[str, list[LogRecord]]:
    """All records of every session."""
    sessions: dict[str, list[LogRecord]] = {}
    for partition in range(stores.identity.partitions):
        start, end = await stores.log.bounds(partition)
        records = [record async for chunk in stores.log.read(partition, start, end) for record in chunk]
        sessions |= route(records, partition, stores.identity.partitions)[0]
    return sessions


async def assert_true(stores: Stores, *, parked: str | None = None) -> None:
    """Every session has the state that the reference fold gives; a parked one that of its last good event."""
    for key, records in (await whole_log(stores)).items():
        document = await stored(stores, key)
        assert (document.parked is not None) == (key == parked)
        before = [one for one in records if document.parked is None or one.offset < document.parked.offset]
        partition = partition_of(key.encode(), stores.identity.partitions)
        state, _ = replay_session(key, before, stores.identity.era, partition)
        assert state is not None and document.state is not None
        assert (document.version, state_hash(document.state)) == (len(before), state_hash(state))


async def forge(stores: Stores, key: str) -> None:
    """Write another state, as a bug might."""
    loaded = (await stores.warm(1).load([key]))[key]
    assert loaded.stored.state is not None
    loaded.stored.state.view.title = "forged"
    loaded.stored.revision += 1
    await stores.warm(1).write_sessions([SessionWrite(loaded.stored, loaded.base)])


async def test_one_session_is_parked_among_a_hundred_thousand_events_and_redriven_while_events_keep_coming(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = Poison(monkeypatch)
    others = [f"{TENANT}/other-{number}" for number in range(SESSIONS)]
    async with Producer(stores.settings.kafka) as producer:
        for key in (ILL, *others):
            await producer.append(key, created(key))
        async with projecting(stores):
            await producer.append(ILL, message(ILL, "poison"))
            await talk(producer, [*others, ILL], EVENTS)
            await up_to_date(stores)
            ill = await stored(stores, ILL)
            assert ill.parked is not None and (ill.version, ill.parked.reason) == (1, "ZeroDivisionError")
            await assert_true(stores, parked=ILL)

        # A restart finds it parked, and goes on passing it over.
        async with projecting(stores) as projection:
            await producer.append(ILL, message(ILL, "still there?"))
            await up_to_date(stores)
            partition = partition_of(ILL.encode(), stores.identity.partitions)
            seen_before = ill.parked.seen

            async def passes_over() -> bool:
                return projection.owned[partition].parked[ILL].seen > seen_before

            await until(passes_over, timeout_s=DEADLINE_S, what="the parked session was not found again")
            waiting = projection.owned[partition].parked[ILL]
            assert waiting.offset == ill.parked.offset

            code, out, err = await everlog("projection", "redrive", "--all", "--dry-run", "--json")
            assert (code, err) == (0, "")
            (row,) = json.loads(out)["parked"]
            assert (row["session"], row["offset"], row["reason"]) == (ILL, waiting.offset, "ZeroDivisionError")
            assert SECRET not in out
            code, out, _ = await everlog("projection", "parked", "--json")
            assert (code, json.loads(out)["parked"]) == (0, [row])
            code, out, _ = await everlog("projection", "list", "--json")
            (generation,) = json.loads(out)["generations"]
            assert (code, generation["live"], generation["lag"], generation["parked"]) == (0, True, 0, 1)

            code, out, _ = await everlog("projection", "redrive", "ill", "--tenant", TENANT, "--yes", "--json")
            assert (code, json.loads(out)["redriven"]) == (1, 0), "the fold is ill still"

            poison.cure()
            talking = asyncio.create_task(talk(producer, [*others, ILL], EVENTS_MEANWHILE))
            code, out, _ = await everlog("projection", "redrive", "--all", "--yes", "--reason", "cured", "--json")
            assert (code, json.loads(out)["redriven"], json.loads(out)["parked"]) == (0, 1, [])
            await talking
            await up_to_date(stores)
            await assert_true(stores)
            version = (await stored(stores, ILL)).version
            assert len(await stores.warm(1).timeline(ILL, 1, version)) == version
            hot = await stores.hot(1, (await stores.control.live()).hot_epoch).get(ILL)
            assert hot is not None and hot.parked is None

            await forge(stores, ILL)
            code, out, _ = await everlog(
                "projection", "repair", "ill", "other-1", "--tenant", TENANT, "--yes", "--json"
            )
            assert (code, json.loads(out)) == (0, {"asked": 2, "replaced": 1})
            await assert_true(stores)

            assert (await everlog("projection", "redrive", "ill", "--tenant", TENANT, "--yes"))[0] == 3
            assert (await everlog("projection", "redrive", "--all"))[0] == 2


async def test_a_session_that_was_evicted_comes_back_for_its_next_event(stores: Stores) -> None:
    key = f"{TENANT}/cold"
    async with Producer(stores.settings.kafka) as producer, projecting(stores) as projection:
        await producer.append(key, created(key))
        await talk(producer, [key], 100)
        await up_to_date(stores)
        archiver = await stores.archiver(ArchiverSettings.load())
        await archiver.seal(everything=True)
        await archiver.prove()
        code, out, _ = await everlog("archive", "evict", "cold", "--tenant", TENANT, "--yes", "--json")
        assert (code, json.loads(out)["evicted"]) == (0, 1)
        assert (await stored(stores, key)).stub is not None

        partition = partition_of(key.encode(), stores.identity.partitions)
        reading, answer = asyncio.Event(), asyncio.Event()

        async def read_slowly(name: str) -> None:
            reading.set()
            await answer.wait()

        projection.history = Watch(read_slowly).over(stores.history)
        await producer.append(key, message(key, "Do you remember me?"))
        await asyncio.wait_for(reading.wait(), DEADLINE_S)
        cold = await stored(stores, key)
        assert cold.stub is not None and cold.parked is not None and cold.parked.reason == COLD
        assert await stores.warm(1).outcome(stores.identity.era, partition, cold.parked.offset) == PENDING
        answer.set()

        async def is_back() -> bool:
            return (await stored(stores, key)).parked is None

        await until(is_back, timeout_s=DEADLINE_S, what="its state is not back")
        document = await stored(stores, key)
        assert document.state is not None and document.version == 102
        assert state_hash(document.state) == await true_hash(stores, key)


async def start_ill_worker() -> asyncio.subprocess.Process:
    tests = Path(__file__).parent
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(tests / "ill_projector_process.py"),
        str(tests.parent),
        env={**os.environ, "EVERLOG_PROJECTOR__SESSION_TIMEOUT_S": "6"},
        stdout=asyncio.subprocess.DEVNULL,
    )


async def test_parked_sessions_survive_a_rebalance_and_the_kill_of_their_owner(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker parks a session of each partition; a second one takes a partition, then the first one is killed."""
    poison = Poison(monkeypatch)
    ill = dict[int, str]()
    for number in range(20):
        key = f"{TENANT}/ill-{number}"
        ill.setdefault(partition_of(key.encode(), stores.identity.partitions), key)
    keys = list(ill.values())
    first = await start_ill_worker()
    try:
        async with Producer(stores.settings.kafka) as producer:

            async def say(text: str) -> None:
                for key in keys:
                    await producer.append(key, message(key, text))
                await up_to_date(stores)

            for key in keys:
                await producer.append(key, created(key))
            await say("poison")
            waiting = {key: (await stored(stores, key)).parked for key in keys}
            assert all(parked is not None for parked in waiting.values())

            async with projecting(stores) as projection:
                await until(
                    lambda: owns(projection, 1), timeout_s=DEADLINE_S, what="the second worker was given no partition"
                )
                await say("after the rebalance")
                first.kill()
                await first.wait()
                await until(
                    lambda: owns(projection, 2), timeout_s=DEADLINE_S, what="the second worker did not take over"
                )
                await say("after the kill")
                for key, before in waiting.items():
                    document = await stored(stores, key)
                    assert document.parked is not None and before is not None and document.version == 1
                    assert (document.parked.offset, document.parked.reason) == (before.offset, before.reason)
                    assert document.parked.seen > before.seen
                poison.cure()
                code, out, _ = await everlog("projection", "redrive", "--all", "--yes", "--json")
                assert (code, json.loads(out)["redriven"]) == (0, len(waiting))
                await assert_true(stores)
                await say("at last")
                await assert_true(stores)
    finally:
        if first.returncode is None:
            first.kill()
            await first.wait()


async def owns(projection: Projection, partitions: int) -> bool:
    """Whether a worker has so many partitions."""
    return len(projection.owned) == partitions
