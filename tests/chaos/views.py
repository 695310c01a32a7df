"""The view database as a whole: copied at a point in time, dropped, put back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from pymongo import MongoClient

from everlog.adapters.mongo import MongoWarmStore, connect
from everlog.runtime.config import MongoSettings

Copy = dict[str, list[dict[str, Any]]]
"""The documents of each collection."""

QUIET_TIMEOUT_S: Final = 10.0
"""The longest that a write which is on its way may still come: none is sent while all workers are frozen."""


async def quiet_copy(settings: MongoSettings) -> Copy:
    """A copy at one point in time; all writers must be frozen.

    A write may be on its way still. So it is copied until two copies are the same: then nothing was written in between.
    """
    deadline_s = time.monotonic() + QUIET_TIMEOUT_S
    last = await asyncio.to_thread(_read, settings)
    while (copy := await asyncio.to_thread(_read, settings)) != last:
        assert time.monotonic() < deadline_s, "somebody writes views while all workers are frozen"
        last = copy
    return copy


async def drop(settings: MongoSettings, unseen: Callable[[], None]) -> None:
    """Drop it; all writers must be frozen. ``unseen`` sees to it that nobody is answered in between."""
    await quiet_copy(settings)
    unseen()
    await asyncio.to_thread(_write, settings, {})


async def put_back(settings: MongoSettings, copy: Copy, unseen: Callable[[], None]) -> None:
    """Make it what it was; all writers must be frozen. ``unseen`` sees to it that nobody is answered in between.

    Documents come back one collection after another, which no restore of a server's files does: a read that was on its
    way would find the watermark and not yet the sessions.
    """
    await quiet_copy(settings)
    unseen()
    await asyncio.to_thread(_write, settings, copy)
    async with connect(settings) as client:
        await MongoWarmStore(client[settings.view_database], 1, now_ms=lambda: 0).ensure_indexes()


def _read(settings: MongoSettings) -> Copy:
    with _client(settings) as client:
        database = client[settings.view_database]
        return {name: list(database[name].find()) for name in sorted(database.list_collection_names())}


def _write(settings: MongoSettings, copy: Copy) -> None:
    with _client(settings) as client:
        client.drop_database(settings.view_database)
        for name, documents in copy.items():
            if documents:
                client[settings.view_database][name].insert_many(documents)


def _client(settings: MongoSettings) -> MongoClient[dict[str, Any]]:
    return MongoClient(settings.url.get_secret_value(), timeoutMS=int(QUIET_TIMEOUT_S * 1000))
