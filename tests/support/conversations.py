"""Conversations on a log in memory, with everything that can go wrong in them; and what the law makes of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from everlog.adapters.memory.log import MemoryLog
from everlog.domain.fold import Stretch, fold_session, route
from everlog.domain.record import LogRecord, partition_of
from everlog.domain.redaction import blanked
from everlog.domain.state import state_hash
from everlog.domain.stored import TimelineEntry
from support.events import TENANT, said, value

PARTITION, PARTITIONS = 0, 2
"""Conversations take place in one of two partitions, so that the other one can be somebody else's."""


def session_keys(count: int, *, partition: int = PARTITION, name: str = "trip") -> list[str]:
    """Keys of sessions that lie in a partition."""
    keys = (f"{TENANT}/{name}-{number}" for number in range(1_000))
    return [key for key in keys if partition_of(key.encode(), PARTITIONS) == partition][:count]


class Conversations:
    """Sessions that take turns on one partition; a seed repeats them."""

    def __init__(self, log: MemoryLog, *, sessions: int = 4, seed: int = 1, partition: int = PARTITION) -> None:
        self.log, self.partition = log, partition
        self.keys = session_keys(sessions, partition=partition)
        self._chance = random.Random(seed)
        self._said: dict[str, list[bytes]] = {}

    async def create(self, key: str) -> None:
        """A session begins."""
        raw = value("session.created", {"owner": "ada"}, subject=_subject(key))
        await self._append(key, raw)

    async def say(self, key: str, text: str = "Hello", **attributes: object) -> None:
        """A message, by its owner."""
        await self._append(key, said(text, subject=_subject(key), **attributes))

    async def edit(self, key: str, version: int, text: str) -> None:
        """A message gets other words."""
        data = {"version": version, "parts": [{"type": "text", "text": text}]}
        await self._append(key, value("message.edited", data, subject=_subject(key)))

    async def redact(self, key: str, version: int) -> None:
        """A message is taken back."""
        await self._append(key, value("message.redacted", {"version": version}, subject=_subject(key)))

    async def begin(self) -> None:
        """Every session begins and gets a few messages."""
        for key in self.keys:
            await self.create(key)
        for key in self.keys * 3:
            await self.say(key)

    async def go_on(self, count: int) -> None:
        """So many records, accepted and rejected, repeated, malformed and astray."""
        for _ in range(count):
            await self._anything(self._chance.choice(self.keys))

    async def _anything(self, key: str) -> None:
        before = self._said.get(key)
        if not before:
            await self.create(key)
            return
        match self._chance.randrange(9):
            case 0:
                await self.log.append(key, self._chance.choice(before))
            case 1:
                await self.say(key, "too late", expectedversion=1_000)
            case 2:
                await self.log.append(key, b"not an event")
            case 3:
                await self.log.append(key, said("astray", subject="somebody-else"))
            case 4:
                await self._append(key, value("state.patched", {"set": {"city": "Rome"}}, subject=_subject(key)))
            case 5:
                await self.create(key)
            case _:
                await self.say(key, f"message {len(before)}")

    async def _append(self, key: str, raw: bytes) -> None:
        self._said.setdefault(key, []).append(raw)
        await self.log.append(key, raw)


class Truth(NamedTuple):
    """What a stretch of a partition from its first record on comes to, folded at once."""

    hashes: dict[str, str]
    """State hash by session."""
    entries: dict[str, list[TimelineEntry]]
    shown: dict[str, list[TimelineEntry]]
    """The entries as redactions have left them."""
    rejected: dict[str, int]
    """Offset of the first rejection by its id."""
    outcomes: list[int]


async def records_of(log: MemoryLog, partition: int = PARTITION) -> list[LogRecord]:
    """All records that a partition still holds."""
    start, end = await log.bounds(partition)
    return [record async for chunk in log.read(partition, start, end) for record in chunk]


def truth_of(records: Sequence[LogRecord], partition: int = PARTITION, partitions: int = PARTITIONS) -> Truth:
    """The truth of records that begin at offset 0."""
    sessions, outcomes = route(records, partition, partitions)
    folds = [fold_session(key, None, mine, Stretch(0, partition, 0)) for key, mine in sessions.items()]
    rejected: dict[str, int] = {}
    for fold in folds:
        outcomes += fold.outcomes
        for rejection in fold.rejections:
            rejected.setdefault(rejection.id, rejection.offset)
    states = {fold.key: fold.document.state for fold in folds if fold.document is not None}
    return Truth(
        hashes={key: state_hash(state) for key, state in states.items() if state is not None},
        entries={fold.key: fold.entries for fold in folds if fold.entries},
        shown={fold.key: [blanked(entry, fold.redactions) for entry in fold.entries] for fold in folds if fold.entries},
        rejected=rejected,
        outcomes=[outcome for _, outcome in sorted(outcomes)],
    )


def _subject(key: str) -> str:
    return key.partition("/")[2]
