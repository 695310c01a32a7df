"""A capability probe: does this object store keep the promises that the archive rests on?"""

from __future__ import annotations

import asyncio

from everlog.ports.objects import ObjectStore
from everlog.schemas.errors import ConfigurationError

RACERS = 8
"""Writers that race in one round: look-alikes that check and write in two steps let several win."""


async def probe_object_store(objects: ObjectStore, prefix: str) -> None:
    """Prove atomic creation, refusal of stale swaps, and ranges, on objects below ``prefix`` that are deleted again.

    ``prefix`` must be new (a random part), else an earlier probe's leftovers disturb this one. Raises
    ``ConfigurationError``, which lists what the store does not do, and ``UnavailableError``.
    """
    created, swapped = f"{prefix}/create", f"{prefix}/swap"
    try:
        failures = [*await _probe_create(objects, created), *await _probe_swap(objects, swapped)]
    finally:
        await objects.delete(created)
        await objects.delete(swapped)
    if failures:
        raise ConfigurationError(
            f"the object store cannot hold an archive: {'; '.join(failures)}",
            hint="Use one whose conditional PutObject (If-Match, If-None-Match) is atomic",
        )


async def _probe_create(objects: ObjectStore, key: str) -> list[str]:
    failures = []
    wins = await asyncio.gather(*(objects.create(key, b"create-%d" % number) for number in range(RACERS)))
    if sum(wins) != 1:
        failures.append(f"{sum(wins)} of {RACERS} racing creations of one key won")
    part = await objects.get(key, first=1, length=3)
    if part is None or part.data != b"rea":
        failures.append("a ranged read gave other bytes")
    return failures


async def _probe_swap(objects: ObjectStore, key: str) -> list[str]:
    failures = []
    first = await objects.swap(key, b"first", etag=None)
    if first is None:
        return ["an object that is not there could not be swapped in"]
    wins = await asyncio.gather(*(objects.swap(key, b"next-%d" % number, etag=first) for number in range(RACERS)))
    if sum(etag is not None for etag in wins) != 1:
        failures.append(f"{sum(etag is not None for etag in wins)} of {RACERS} racing swaps won")
    if await objects.swap(key, b"stale", etag=first) is not None:
        failures.append("a stale swap was not refused")
    if await objects.swap(key, b"again", etag=None) is not None:
        failures.append("an existing object was replaced where none was expected")
    return failures
