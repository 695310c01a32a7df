"""What must hold when everything is whole again: log, views, hot store and every published message say the same."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final, NamedTuple

from chaos.door import Acknowledged
from chaos.schedule import WORKERS
from chaos.servers import PARTITIONS
from chaos.views import Copy, quiet_copy
from everlog.adapters.kafka.connection import admin_client
from everlog.adapters.kafka.reader import KafkaReader
from everlog.adapters.mongo import MongoWarmStore
from everlog.adapters.redis import RedisHotStore
from everlog.cli.composition import StoreSettings, now_ms, open_control
from everlog.domain.record import LogRecord, partition_of
from everlog.domain.state import state_hash
from everlog.domain.stored import timeline_id
from everlog.domain.verdicts import PENDING, Rejected, unpack
from everlog.ports.control import ControlStore
from everlog.ports.hot import Outcomes
from everlog.ports.warm import WarmReader
from support.conversations import Truth, truth_of

ERA: Final = 0
CAUGHT_UP_TIMEOUT_S: Final = 60.0
"""From the end of the last fault: a rebalance takes 6 s, a worker's pauses some seconds more."""
HOT_TIMEOUT_S: Final = 10.0
"""The hot store is written after the watermark has moved, and a rollback of it may be noticed some seconds later."""
POLL_S: Final = 0.2
ASKED_OUTCOMES: Final = 40
"""Of each partition, one by one as a gateway asks; all of them are looked at as they are stored."""


class Said(NamedTuple):
    """What writers and listeners of a run were told."""

    acknowledged: Sequence[Acknowledged]
    heard: Sequence[Outcomes]


class Stores(NamedTuple):
    """The stores of a run, past the proxies."""

    settings: StoreSettings
    log: KafkaReader
    control: ControlStore
    warm: MongoWarmStore

    async def behind(self) -> dict[int, tuple[int, int]]:
        """Watermark and end of each partition that is not up to date."""
        places = {}
        for partition in range(PARTITIONS):
            end = (await self.log.bounds(partition)).end
            watermark = await self.warm.watermark(ERA, partition) or 0
            if watermark != end:
                places[partition] = watermark, end
        return places


@asynccontextmanager
async def stores_of(settings: StoreSettings) -> AsyncIterator[Stores]:
    """Connect to the stores of a run."""
    async with KafkaReader(settings.kafka) as log, open_control(settings) as (control, views):
        yield Stores(settings, log, control, MongoWarmStore(views, 1, now_ms=now_ms))


async def at_work(stores: Stores) -> None:
    """Wait until the workers have folded something of each partition."""
    deadline_s = asyncio.get_running_loop().time() + CAUGHT_UP_TIMEOUT_S
    while not all([await stores.warm.watermark(ERA, partition) for partition in range(PARTITIONS)]):
        assert asyncio.get_running_loop().time() < deadline_s, "the workers do not begin"
        await asyncio.sleep(POLL_S)


async def settled(stores: Stores) -> list[str]:
    """Wait until the group has its usual members and none that died: a late takeover would mend what it finds."""
    deadline_s = asyncio.get_running_loop().time() + CAUGHT_UP_TIMEOUT_S
    async with admin_client(stores.settings.kafka) as admin:
        while True:
            (answer,) = await admin.describe_consumer_groups(["everlog-g1"])
            _, _, state, _, _, members, *_ = answer.groups[0]
            if (state, len(members)) == ("Stable", WORKERS):
                return []
            if asyncio.get_running_loop().time() > deadline_s:
                return [f"the group is {state} with {len(members)} members"]
            await asyncio.sleep(POLL_S)


async def caught_up(stores: Stores) -> list[str]:
    """Wait until the views have seen the whole log; what is behind after ``CAUGHT_UP_TIMEOUT_S``."""
    deadline_s = asyncio.get_running_loop().time() + CAUGHT_UP_TIMEOUT_S
    while behind := await stores.behind():
        if asyncio.get_running_loop().time() > deadline_s:
            return [f"partition {at}: the watermark stays at {has} of {end}" for at, (has, end) in behind.items()]
        await asyncio.sleep(POLL_S)
    return []


class Found(NamedTuple):
    """Everything that is wrong, in words, and what there was to be compared."""

    problems: list[str]
    verdicts: Counter[str]
    hot: int
    """Sessions that are served hot."""


async def compare(stores: Stores, said: Said, seed: int) -> Found:
    """Compare all there is with the log, folded at once."""
    records = [await _read(stores, partition) for partition in range(PARTITIONS)]
    truths = [truth_of(mine, partition, PARTITIONS) for partition, mine in enumerate(records)]
    raw = await quiet_copy(stores.settings.mongo)
    is_hot, wrong_hot = await _hot(stores, truths)
    problems = [
        *_lost(said.acknowledged, records),
        *await _wrong_sessions(stores.warm, raw, truths),
        *await _wrong_timelines(stores.warm, raw, truths),
        *_wrong_rejections(raw, truths),
        *_wrong_outcomes(raw, truths),
        *await _wrong_answers(stores.warm, truths, Random(seed)),
        *_wrong_messages(said.heard, truths),
        *wrong_hot,
    ]
    return Found(problems, Counter(_name(packed) for truth in truths for packed in truth.outcomes), is_hot)


async def _read(stores: Stores, partition: int) -> list[LogRecord]:
    end = (await stores.log.bounds(partition)).end
    return [record async for chunk in stores.log.read(partition, 0, end) for record in chunk]


def _lost(acknowledged: Sequence[Acknowledged], records: list[list[LogRecord]]) -> Iterator[str]:
    values = {(record.key, record.value) for mine in records for record in mine}
    for key, value, position in acknowledged:
        partition, raw_key = partition_of(key.encode(), PARTITIONS), key.encode()
        if position is None:
            if (raw_key, value) not in values:
                yield f"acknowledged without a position, and not on the log: {key} {value[:80]!r}"
        elif (position.partition, position.offset >= len(records[partition])) != (partition, False):
            yield f"acknowledged beyond the log: {position} of {key}"
        else:
            record = records[partition][position.offset]
            if (record.key, record.value) != (raw_key, value):
                yield f"acknowledged at {position}, where another record lies: {key}"


async def _wrong_sessions(warm: WarmReader, raw: Copy, truths: Sequence[Truth]) -> list[str]:
    expected = {key: hash_ for truth in truths for key, hash_ in truth.hashes.items()}
    stored = {key: document.stored for key, document in (await warm.load(list(expected))).items()}
    found = [f"{key} is missing" for key in expected.keys() - stored.keys()]
    found += [f"{_id} should not exist" for _id in _ids(raw, "sessions") - expected.keys()]
    for key, document in stored.items():
        entries = next(truth.entries[key] for truth in truths if key in truth.entries)
        if document.state is None or state_hash(document.state) != expected[key]:
            found.append(f"{key} has another state at version {document.version}, the log has {len(entries)}")
        elif document.version != len(entries):
            found.append(f"{key} has version {document.version} and {len(entries)} events were accepted")
        if document.parked is not None:
            found.append(f"{key} is parked: {document.parked}")
    return found


async def _wrong_timelines(warm: WarmReader, raw: Copy, truths: Sequence[Truth]) -> list[str]:
    found, ids = [], set()
    for key, entries in ((key, entries) for truth in truths for key, entries in truth.shown.items()):
        ids |= {timeline_id(key, entry.version) for entry in entries}
        read = await warm.timeline(key, 1, len(entries) + 1)
        if read != entries:
            versions = [version for version, _ in _differences(read, entries)]
            found.append(f"the timeline of {key} differs at versions {versions[:5]} of {len(entries)}")
    return found + [f"an entry too many: {_id}" for _id in sorted(_ids(raw, "timeline") - ids)]


def _differences(read: Sequence[Any], entries: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    there = {entry.version: entry for entry in read}
    for entry in entries:
        if there.get(entry.version) != entry:
            yield entry.version, there.get(entry.version)


def _wrong_rejections(raw: Copy, truths: Sequence[Truth]) -> Iterator[str]:
    expected = {name: offset for truth in truths for name, offset in truth.rejected.items()}
    outcomes = {name: truth.outcomes[offset] for truth in truths for name, offset in truth.rejected.items()}
    found = {document["_id"]: document for document in raw.get("rejections_g1", [])}
    for name in sorted(expected.keys() - found.keys()):
        yield f"a rejection is missing: {name}"
    for name in sorted(found.keys() - expected.keys()):
        yield f"a rejection too many: {found[name]}"
    for name in expected.keys() & found.keys():
        verdict, document = unpack(outcomes[name]), found[name]
        assert isinstance(verdict, Rejected)
        if (document["offset"], document["reason"]) != (expected[name], verdict.reason.text):
            yield f"the rejection {name} is {document}, it should be {verdict} at {expected[name]}"


def _wrong_outcomes(raw: Copy, truths: Sequence[Truth]) -> Iterator[str]:
    """Each stored outcome is right, and none is missing."""
    covered: list[set[int]] = [set() for _ in truths]
    for document in raw.get("outcomes_g1", []):
        _, partition, first, following = map(int, document["_id"].split("/"))
        packed = struct.unpack(f"<{following - first}q", document["packed"])
        covered[partition] |= set(range(first, following))
        yield from _contradictions(f"outcomes {document['_id']}", first, packed, truths[partition])
    for partition, truth in enumerate(truths):
        missing = sorted(set(range(len(truth.outcomes))) - covered[partition])
        if missing:
            yield f"partition {partition}: no outcome is stored of offsets {missing[:5]}, {len(missing)} in all"


def _contradictions(what: str, first: int, packed: Iterable[int], truth: Truth) -> Iterator[str]:
    for offset, outcome in enumerate(packed, first):
        expected = truth.outcomes[offset] if offset < len(truth.outcomes) else None
        if outcome not in (expected, PENDING):
            yield f"{what}: offset {offset} is {unpack(outcome)}, the log says {unpack(expected or PENDING)}"


async def _wrong_answers(warm: WarmReader, truths: Sequence[Truth], chance: Random) -> list[str]:
    found = []
    for partition, truth in enumerate(truths):
        count = len(truth.outcomes)
        for offset in sorted(chance.sample(range(count), min(ASKED_OUTCOMES, count))):
            answer = await warm.outcome(ERA, partition, offset)
            if answer != truth.outcomes[offset]:
                found.append(f"partition {partition}, offset {offset}: the warm store answers {answer}")
    return found


def _wrong_messages(heard: Sequence[Outcomes], truths: Sequence[Truth]) -> Iterator[str]:
    for message in heard:
        where = f"published for partition {message.partition} of era {message.era}"
        yield from _contradictions(where, message.first, message.packed, truths[message.partition])


async def _hot(stores: Stores, truths: Sequence[Truth]) -> tuple[int, list[str]]:
    """How many sessions are served hot, and which of them are not as the log says, also after some time.

    Redis answers and the workers know sessions, so some are hot again.
    """
    deadline_s = asyncio.get_running_loop().time() + HOT_TIMEOUT_S
    while True:
        is_hot, found = await _hot_now(stores, truths)
        if is_hot and not found:
            return is_hot, []
        if asyncio.get_running_loop().time() > deadline_s:
            return is_hot, found or ["Redis is whole again, and nothing is hot"]
        await asyncio.sleep(POLL_S)


async def _hot_now(stores: Stores, truths: Sequence[Truth]) -> tuple[int, list[str]]:
    """What is served hot is the last version; what is not hot is no problem."""
    epoch, is_hot, found = (await stores.control.live()).hot_epoch, 0, []
    async with RedisHotStore(stores.settings.redis, 1, epoch) as hot:
        for key, hash_ in ((key, hash_) for truth in truths for key, hash_ in truth.hashes.items()):
            document, tail = await hot.get(key), await hot.tail(key)
            if document is None:
                continue
            is_hot += 1
            entries = next(truth.shown[key] for truth in truths if key in truth.shown)
            if document.state is None or state_hash(document.state) != hash_:
                found.append(f"{key} is hot at version {document.version} in epoch {epoch}, the log has {len(entries)}")
            elif tail and tail != entries[-len(tail) :]:
                found.append(f"{key} has a hot tail up to version {tail[-1].version}, the log has {len(entries)}")
    return is_hot, found


def _name(packed: int) -> str:
    verdict = unpack(packed)
    return verdict.reason.text if isinstance(verdict, Rejected) else type(verdict).__name__.lower()


def _ids(raw: Copy, name: str) -> set[str]:
    return {document["_id"] for document in raw.get(f"{name}_g1", [])}
