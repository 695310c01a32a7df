"""An ordinary Faust agent that stores after each event, as one would write it. Arguments: how many records, group.

Per event: the timeline entry and the state to MongoDB, acknowledged by a majority as ours are, then the state to Redis.
Every write may be repeated, so a restart loses nothing. The states are kept in memory, as an agent with a table would.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import msgspec
from faust.types import StreamT
from pymongo.errors import DuplicateKeyError

from benchmarks.projector.stock import ordinary_app, run
from benchmarks.projector.work import Stopwatch
from everlog.adapters.mongo import connect as connect_mongo
from everlog.adapters.redis.connection import connect as connect_redis
from everlog.domain.event import Event
from everlog.domain.law import LAW
from everlog.domain.state import State
from everlog.domain.stored import timeline_id
from everlog.domain.verdicts import Accepted
from everlog.runtime.config import KafkaSettings, MongoSettings, RedisSettings


def consume(expected: int, group: str) -> None:
    """Fold and store the topic from its beginning."""
    settings, stopwatch, stores = KafkaSettings.load(), Stopwatch(expected), Stores()
    states: dict[str, State | None] = {}
    app = ordinary_app(group, settings)

    async def fold(stream: StreamT[bytes]) -> None:
        async for value in stream:
            stopwatch.begin()
            event, accepted = LAW.decode(value), False
            if isinstance(event, Event):
                state, verdict = LAW.step(states.get(event.key), event)
                states[event.key] = state
                accepted = isinstance(verdict, Accepted)
                if state is not None and accepted:
                    await stores.write(event.key, state, value)
            stopwatch.end(accepted=accepted)

    app.agent(app.topic(settings.topic_name, value_serializer="raw", key_serializer="raw"), name="fold")(fold)
    run(app)


class Stores:
    """The stores of this agent, with the product's settings of the drivers."""

    def __init__(self) -> None:
        database = connect_mongo(MongoSettings.load())["stock"]
        self._timeline, self._sessions = database["timeline"], database["sessions"]
        self._redis = connect_redis(RedisSettings.load())
        self._encode = msgspec.msgpack.Encoder().encode

    async def write(self, key: str, state: State, value: bytes) -> None:
        """Store an accepted event and the state that it led to."""
        entry, blob = {"_id": timeline_id(key, state.version), "value": value}, self._encode(state)
        with suppress(DuplicateKeyError):  # written before a restart
            await self._timeline.insert_one(entry)
        await self._sessions.replace_one(
            {"_id": key}, {"_id": key, "version": state.version, "blob": blob}, upsert=True
        )
        await self._redis.set(f"stock:{key}", blob)


if __name__ == "__main__":
    consume(int(sys.argv[1]), sys.argv[2])
