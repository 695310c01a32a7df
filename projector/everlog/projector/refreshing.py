"""The last batch of a partition that is taken over goes into the hot store: a crash may have kept it from there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import structlog

from everlog.domain.fold import route
from everlog.ports.hot import HotWrite
from everlog.schemas.errors import OffsetTrimmedError, UnavailableError

if TYPE_CHECKING:
    from everlog.projector.projection import Projection

BATCH_RECORDS_MAX: Final = 5_000
"""The largest batch, a chunk of history: so far before the watermark the last one may have begun."""
CONCURRENT_REFRESHES: Final = 8
"""Partitions whose last batch is read at once: a reader's start takes some round trips."""

_log = structlog.get_logger(__name__)


async def refresh_last_batches(projection: Projection, watermarks: Mapping[int, int]) -> None:
    """Put the sessions of what may have been the last batch of each partition into the hot store.

    Where they cannot be read a new hot epoch begins.
    """
    places = asyncio.Semaphore(CONCURRENT_REFRESHES)

    async def refresh(partition: int, watermark: int) -> None:
        async with places:
            try:
                await _refresh(projection, partition, watermark)
            except (UnavailableError, OffsetTrimmedError) as error:
                _log.warning("the last batch cannot be read", partition=partition, error=str(error))
                await projection.hot.begin_anew()

    await asyncio.gather(*(refresh(partition, watermark) for partition, watermark in watermarks.items()))


async def _refresh(projection: Projection, partition: int, watermark: int) -> None:
    keys = await _sessions(projection, partition, max(0, watermark - BATCH_RECORDS_MAX), watermark)
    loaded = await projection.stored(partition, watermark, list(keys))
    stored = [document.stored for document in loaded.values() if document.stored.state is not None]
    writes = [HotWrite(document, ()) for document in stored if document.offset < watermark]
    if writes:
        await projection.hot.put(writes)


async def _sessions(projection: Projection, partition: int, first: int, until: int) -> set[str]:
    """The sessions of these records, from the log or, where it was trimmed, from the archive."""
    keys: set[str] = set()
    bounds = await projection.kafka(lambda: projection.log.bounds(partition))
    read = projection.log.read if bounds.start <= first else projection.history.partition
    async for records in read(partition, first, until):
        keys.update(route(records, partition, projection.identity.partitions)[0])
    return keys
