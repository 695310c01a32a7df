"""Which sessions may be evicted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from everlog.ports.warm import WarmReader


async def idle_sessions(
    warm: WarmReader, proved: Mapping[int, int], before_ms: int, *, stubs: bool = False
) -> AsyncIterator[str]:
    """Sessions that did not change since a time and lie wholly in the proved part of the log."""
    async for idle in warm.idle(before_ms, stubs=stubs):
        if idle.offset < proved.get(idle.partition, 0):
            yield idle.key
