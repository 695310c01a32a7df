"""The control store in memory."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from everlog.domain.view import FOLD_VERSION
from everlog.ports.control import REQUEST_SESSIONS, Anchor, Generation, HotEpoch, Live, Reader, Request
from everlog.ports.log import LogIdentity
from everlog.schemas.errors import LimitExceededError, LogLostError, NotFoundError


class MemoryControlStore:
    """A ``ControlStore``."""

    def __init__(self) -> None:
        self._identity: LogIdentity | None = None
        self._hot_epochs: dict[int, HotEpoch] = {}
        self._requests: dict[str, Request] = {}
        self._anchors: dict[tuple[int, int], Anchor] = {}
        self._readers: dict[str, Reader] = {}
        self._rules = 1

    async def initialise(self, identity: LogIdentity) -> None:
        """Create generation 1, the live pointer, hot epoch 1, and remember the log."""
        if self._identity is None:
            self._identity, self._hot_epochs = identity, {1: HotEpoch(1, "")}
        elif self._identity != identity:
            raise LogLostError(f"this is {identity}; everything here was made from {self._identity}")

    async def identity(self) -> LogIdentity | None:
        """The log that was remembered at the beginning."""
        return self._identity

    async def live(self) -> Live:
        """The live generation."""
        if self._identity is None:
            raise NotFoundError("there is no live generation", hint="Run: everlog init")
        return Live(1, self._hot_epochs[1].epoch)

    async def hot_epoch(self, generation: int) -> HotEpoch:
        """The hot epoch of a generation; number 0 before its first one."""
        return self._hot_epochs.get(generation, HotEpoch(0, ""))

    async def begin_hot_epoch(self, generation: int, after: int, incarnation: str) -> HotEpoch:
        """Begin the hot epoch that follows ``after``, unless that is no longer the one in force."""
        if (await self.hot_epoch(generation)).epoch == after:
            self._hot_epochs[generation] = HotEpoch(after + 1, incarnation)
        return await self.hot_epoch(generation)

    async def generations(self) -> list[Generation]:
        """Every attached generation."""
        return [Generation(1, FOLD_VERSION)] if self._identity is not None else []

    async def announce(self, reader: Reader) -> None:
        """A reader says which rules it knows."""
        self._readers[reader.name] = reader

    async def withdraw(self, name: str) -> None:
        """A reader reads no more."""
        self._readers.pop(name, None)

    async def readers(self) -> list[Reader]:
        """All that announced themselves and have not withdrawn, by name."""
        return sorted(self._readers.values(), key=lambda reader: reader.name)

    async def rules_in_force(self) -> int:
        """The highest rules number that doors may write."""
        return self._rules

    async def put_in_force(self, rules: int) -> None:
        """Doors may write up to this rules number."""
        self._rules = max(self._rules, rules)

    async def submit(self, request: Request) -> None:
        """Leave a request for the owner of its partition; one of the same id that is there already stays."""
        if len(request.sessions) > REQUEST_SESSIONS:
            raise LimitExceededError("sessions of a request", maximum=REQUEST_SESSIONS, actual=len(request.sessions))
        self._requests.setdefault(request.id, request)

    async def waiting(self, generation: int, partitions: Sequence[int]) -> list[Request]:
        """Requests that wait for the owner of these partitions, oldest first."""
        return [
            request
            for request in self._requests.values()
            if request.generation == generation and request.partition in partitions and request.done is None
        ]

    async def finish(self, request_id: str, done: int, error: str | None) -> None:
        """The owner has carried a request out."""
        request = self._requests.get(request_id)
        if request is not None:
            self._requests[request_id] = msgspec.structs.replace(request, done=done, error=error)

    async def request(self, request_id: str) -> Request | None:
        """A request as it stands."""
        return self._requests.get(request_id)

    async def forget(self, request_id: str) -> None:
        """Delete a request whose end was seen."""
        self._requests.pop(request_id, None)

    async def anchor(self, anchor: Anchor) -> None:
        """Keep an anchor; one that is older than the kept one changes nothing."""
        kept = self._anchors.get((anchor.era, anchor.partition))
        if kept is None or kept.seq <= anchor.seq:
            self._anchors[anchor.era, anchor.partition] = anchor

    async def anchored(self, era: int, partition: int) -> Anchor | None:
        """The last anchor of a partition."""
        return self._anchors.get((era, partition))
