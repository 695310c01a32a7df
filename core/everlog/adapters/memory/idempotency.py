"""Idempotency records in memory."""

from __future__ import annotations

from collections.abc import Sequence

from everlog.ports.idempotency import FirstTry


class MemoryIdempotencyStore:
    """An ``IdempotencyStore``."""

    def __init__(self) -> None:
        self._tries: dict[str, FirstTry] = {}

    async def record(self, tries: Sequence[FirstTry]) -> list[FirstTry | None]:
        """Keep each try unless its key is known already."""
        known: list[FirstTry | None] = []
        for one in tries:
            known.append(self._tries.get(one.key))
            self._tries.setdefault(one.key, one)
        return known

    async def sweep(self, before_ms: int) -> int:
        """Forget what was recorded before that time."""
        old = [one.key for one in self._tries.values() if one.recorded_ms < before_ms]
        for key in old:
            del self._tries[key]
        return len(old)
