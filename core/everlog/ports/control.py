"""The control store: sources that no log can bring back, in a MongoDB database of their own.

Every method raises ``UnavailableError``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from everlog.ports.log import LogIdentity

REQUEST_SESSIONS = 500
"""Sessions of one request at most: it is carried out between two batches, in well under a second."""

RequestKind = Literal["evict_timeline", "evict_session", "rehydrate", "redrive", "repair"]


class Live(msgspec.Struct, frozen=True):
    """Which generation is read, and its hot epoch."""

    generation: int
    hot_epoch: int


class HotEpoch(msgspec.Struct, frozen=True):
    """Under which number a generation's hot keys are valid now."""

    epoch: int
    incarnation: str
    """Of the hot store when it began; "" where that is not known. See ``HotStore.incarnation``."""


class Generation(msgspec.Struct, frozen=True):
    """An attached generation, and the fold version that its views are made with."""

    generation: int
    fold_version: int


class Reader(msgspec.Struct, frozen=True):
    """A process that folds or judges what is on the log, and the highest rules number that it knows."""

    name: str
    rules: int
    announced_ms: int
    """When it last said so, milliseconds since 1970."""


class Request(msgspec.Struct, frozen=True):
    """Work on sessions that only the owner of their partition may do, between batches."""

    id: str
    generation: int
    partition: int
    kind: RequestKind
    sessions: list[str]
    """Session keys, at most ``REQUEST_SESSIONS``."""
    proved_offset: int = 0
    """Of an eviction: only what lies wholly below this offset of the partition may go."""
    keep_entries: int = 0
    """Of an eviction of timelines: how many of the newest entries stay warm."""
    reason: str = ""
    """Why somebody asked for it, for the log of the owner."""
    done: int | None = None
    """How many sessions were changed; None while the request waits."""
    error: str | None = None
    """Why it failed, for people."""


class Anchor(msgspec.Struct, frozen=True):
    """Written before a trim: which manifest justified it, so that a HEAD rolled back is seen."""

    era: int
    partition: int
    seq: int
    manifest_sha256: str
    before_offset: int


class ControlStore(Protocol):
    """Live pointer, hot epochs, requests, anchors, readers, and the log's identity."""

    async def initialise(self, identity: LogIdentity) -> None:
        """Create generation 1, the live pointer, hot epoch 1, and remember the log; nothing if they are there.

        Raises ``LogLostError`` when another log was remembered.
        """

    async def identity(self) -> LogIdentity | None:
        """The log that was remembered at the beginning."""

    async def live(self) -> Live:
        """The live generation. Raises ``NotFoundError`` before ``everlog init``."""

    async def hot_epoch(self, generation: int) -> HotEpoch:
        """The hot epoch of a generation; number 0 before its first one."""

    async def begin_hot_epoch(self, generation: int, after: int, incarnation: str) -> HotEpoch:
        """Begin the hot epoch after ``after``, unless that is no longer the one in force; returns the one that is.

        So of several workers that notice the same failure one begins a new epoch, and the others follow.
        """

    async def generations(self) -> list[Generation]:
        """Every attached generation, ascending: each holds back trimming."""

    async def announce(self, reader: Reader) -> None:
        """A reader says which rules it knows; what it said before is replaced."""

    async def withdraw(self, name: str) -> None:
        """A reader reads no more; nothing if it is not there."""

    async def readers(self) -> list[Reader]:
        """All that announced themselves and have not withdrawn, by name; some may be dead."""

    async def rules_in_force(self) -> int:
        """The highest rules number that doors may write; 1 until another was put in force."""

    async def put_in_force(self, rules: int) -> None:
        """Doors may write up to this rules number; a lower one than that in force changes nothing."""

    async def submit(self, request: Request) -> None:
        """Leave a request for the owner of its partition."""

    async def waiting(self, generation: int, partitions: Sequence[int]) -> list[Request]:
        """Requests that wait for the owner of these partitions, oldest first."""

    async def finish(self, request_id: str, done: int, error: str | None) -> None:
        """The owner has carried a request out."""

    async def request(self, request_id: str) -> Request | None:
        """A request as it stands."""

    async def forget(self, request_id: str) -> None:
        """Delete a request whose end was seen."""

    async def anchor(self, anchor: Anchor) -> None:
        """Keep an anchor; a later one of the partition replaces it."""

    async def anchored(self, era: int, partition: int) -> Anchor | None:
        """The last anchor of a partition."""
