"""Records as a busy partition would hold them: many sessions at once, people and agents taking turns."""

from __future__ import annotations

import datetime
import functools
import importlib.resources
import json
import random
import uuid
from collections.abc import Callable, Iterator

import pytest

from everlog.ports.log import Record

START_MS = 1_790_000_000_000
HEADERS = (("content-type", b"application/cloudevents+json"),)


def _uuid7(ms: int, chance: random.Random) -> str:
    high = (ms << 80) | (7 << 76) | (chance.getrandbits(12) << 64)
    return str(uuid.UUID(int=high | (2 << 62) | chance.getrandbits(62)))


@functools.cache
def _texts() -> list[list[str]]:
    # Not through the package's own classes: they leave the file open.
    talks = json.loads(importlib.resources.files("chitchat_dataset").joinpath("dataset.json").read_bytes())
    return [[message["text"] for turn in talk["messages"] for message in turn] for talk in talks.values()]


class _Talk:
    def __init__(self, ms: int, chance: random.Random, texts: list[list[str]]) -> None:
        self.session = _uuid7(ms, chance)
        self.tenant = f"tenant-{int(chance.paretovariate(1)) % 20:02d}"
        self.agent, self.user = f"mad-{chance.randrange(40):03d}", f"user-{chance.randrange(3000):05d}"
        self.run = _uuid7(ms, chance)
        self.texts = iter(chance.choice(texts))
        self.version = 1

    def event(self, ms: int, chance: random.Random, text: str) -> bytes:
        self.version += 1
        by_agent = self.version % 2 == 0
        if self.version % 6 == 0:
            self.run = _uuid7(ms, chance)
        time = datetime.datetime.fromtimestamp((ms - chance.randrange(30)) / 1000, datetime.UTC)
        data: dict[str, object] = {"role": "assistant" if by_agent else "user"}
        if by_agent:
            data["run"] = self.run
        data["parts"] = [{"type": "text", "text": text}]
        event: dict[str, object] = {
            "specversion": "1.0",
            "id": _uuid7(ms, chance),
            "source": f"/mads/{self.agent}" if by_agent else "/gateway",
            "type": "everlog.message.appended.v1",
            "subject": self.session,
            "tenantid": self.tenant,
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "actor": self.agent if by_agent else self.user,
            "rules": 1,
        }
        if by_agent:
            event |= {"leaseepoch": 2, "correlationid": self.run}
        return json.dumps({**event, "data": data}, separators=(",", ":"), ensure_ascii=False).encode()


def _chat(count: int, partition: int, first: int, seed: int, live: int) -> Iterator[Record]:
    chance, texts, ms = random.Random(seed), _texts(), START_MS
    talks = [_Talk(ms, chance, texts) for _ in range(live)]
    for offset in range(first, first + count):
        ms += int(chance.expovariate(0.5))
        number = int(chance.random() ** 2 * live)
        text = next(talks[number].texts, None)
        if text is None:
            talks[number] = _Talk(ms, chance, texts)
            text = next(talks[number].texts)
        talk = talks[number]
        key = f"{talk.tenant}/{talk.session}".encode()
        yield Record(partition, offset, ms, key, talk.event(ms, chance, text), HEADERS)


@pytest.fixture(scope="session")
def chat() -> Callable[..., list[Record]]:
    """``chat(count, partition=3, first=0, seed=1, live=...)``: records of short real messages."""

    def make(count: int, *, partition: int = 3, first: int = 0, seed: int = 1, live: int = 3000) -> list[Record]:
        return list(_chat(count, partition, first, seed, live))

    return make
