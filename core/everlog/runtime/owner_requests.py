"""Asking the owners of partitions for work on sessions that only they may do, and waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from everlog.domain.record import partition_of
from everlog.ports.control import REQUEST_SESSIONS, ControlStore, Request, RequestKind
from everlog.ports.log import LogIdentity
from everlog.schemas.errors import EverlogError, UnavailableError

POLL_S: Final = 0.02
"""How often a request is looked at while somebody waits for it."""


class Requests:
    """Leaves requests for the owners of a generation's partitions."""

    def __init__(
        self, identity: LogIdentity, control: ControlStore, generation: int, new_id: Callable[[], str]
    ) -> None:
        self._identity, self._control = identity, control
        self._generation, self._new_id = generation, new_id

    async def carry_out(
        self,
        kind: RequestKind,
        keys: Sequence[str],
        *,
        proved: Mapping[int, int] | None = None,
        keep_entries: int = 0,
        reason: str = "",
        deadline_s: float = 60.0,
    ) -> int:
        """Ask for work on sessions and wait until it is done; returns how many sessions were changed.

        ``proved`` is the proved offset by partition, for evictions; ``reason`` is for the owner's log.
        Raises ``UnavailableError`` at the deadline (the owner may still do it), ``EverlogError`` with what the owner
        said when it failed.
        """
        requests = [
            Request(
                id=self._new_id(),
                generation=self._generation,
                partition=partition,
                kind=kind,
                sessions=list(part),
                proved_offset=(proved or {}).get(partition, 0),
                keep_entries=keep_entries,
                reason=reason,
            )
            for partition, sessions in self._by_partition(keys).items()
            for part in _parts(sessions)
        ]
        for request in requests:
            await self._control.submit(request)
        try:
            async with asyncio.timeout(deadline_s):
                return sum([await self._wait(request) for request in requests])
        except TimeoutError:
            raise UnavailableError(
                "the projector",
                f"a request to {kind.replace('_', ' ')} is still waiting after {deadline_s:g} s",
                hint="Start it with: everlog projector",
            ) from None

    async def _wait(self, request: Request) -> int:
        while True:
            seen = await self._control.request(request.id)
            if seen is None or seen.done is not None:
                break
            await asyncio.sleep(POLL_S)
        await self._control.forget(request.id)
        if seen is None:
            return 0
        if seen.error is not None:
            raise EverlogError(f"the owner of partition {request.partition} could not do it: {seen.error}")
        return seen.done or 0

    def _by_partition(self, keys: Sequence[str]) -> dict[int, list[str]]:
        grouped: dict[int, list[str]] = {}
        for key in keys:
            grouped.setdefault(partition_of(key.encode(), self._identity.partitions), []).append(key)
        return grouped


def _parts(sessions: Sequence[str]) -> list[Sequence[str]]:
    return [sessions[at : at + REQUEST_SESSIONS] for at in range(0, len(sessions), REQUEST_SESSIONS)]
