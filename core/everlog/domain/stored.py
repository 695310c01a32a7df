"""What the stores keep of a session, byte for byte the same in every tier."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import xxhash

from everlog.domain.state import State
from everlog.domain.verdicts import Rejected
from everlog.domain.view import FOLD_VERSION

COLD: Final = "cold"
"""Why a session is parked that was only a stub when its next record came."""

_SIGNED: Final = 1 << 63


class Stub(msgspec.Struct, array_like=True, frozen=True):
    """What stays of a session that was idle for very long: enough to know it, and to prove its return."""

    version: int
    status: str
    labels: dict[str, Any]
    state_hash: str


class Parked(msgspec.Struct, array_like=True, frozen=True):
    """Where a session stopped: its fold raised there, or its state is cold. All offsets are of the document's era."""

    offset: int
    """The record that the session waits at; the document's own position is right before it."""
    reason: str
    """The name of the exception's type, or ``COLD``; never its text, which may hold content."""
    seen: int
    """The session's last record that was passed over."""
    since_ms: int = 0
    """The broker's append time of the record that it waits at, milliseconds since 1970."""

    @property
    def is_cold(self) -> bool:
        """Whether it only waits for its state to come back: that is lag, and nobody's bug."""
        return self.reason == COLD


class StoredSession(msgspec.Struct, array_like=True):
    """A session document: its state or stub, with all that stands beside it.

    ``era``, ``partition`` and ``offset`` are the position of the last record folded into it; ``revision`` is raised by
    every write; ``outcomes`` are those of its records at or above the watermark that its batch started from, so that a
    crash between the document and the watermark loses none; ``timeline_from`` is the oldest version that is warm.
    """

    key: str
    era: int
    partition: int
    offset: int
    state: State | None
    revision: int = 1
    fold_version: int = FOLD_VERSION
    timeline_from: int = 1
    outcomes: list[tuple[int, int]] = []
    """(offset, packed outcome), in order of offset."""
    stub: Stub | None = None
    parked: Parked | None = None

    @property
    def version(self) -> int:
        """The session's version."""
        if self.state is not None:
            return self.state.version
        return self.stub.version if self.stub is not None else 0


class TimelineEntry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An accepted event: the version that it made, and its record."""

    version: int
    offset: int
    timestamp: int
    """The broker's append time, milliseconds since 1970."""
    value: bytes


class Rejection(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A rejected event: the verdict with its details, and where the record lies."""

    id: str
    """``tenant/session#event id``, or ``tenant/session#@era/partition/offset`` where the event has no id."""
    offset: int
    timestamp: int
    reason: str
    version: int
    detail: tuple[str, ...]


class Base(msgspec.Struct, frozen=True):
    """The exact document that a write must find."""

    revision: int
    checksum: int


class Loaded(msgspec.Struct):
    """A session document as it was read or written: what a fold starts from."""

    stored: StoredSession
    base: Base


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(StoredSession)


def encode_stored(stored: StoredSession) -> bytes:
    """The one encoding of a session document."""
    return _encoder.encode(stored)


def decode_stored(blob: bytes) -> StoredSession:
    """The session document of an encoding; check its checksum first.

    Raises ``msgspec.MsgspecError`` for bytes that are not one.
    """
    return _decoder.decode(blob)


def checksum(blob: bytes) -> int:
    """The document checksum, over everything stored: xxh3-64 as a signed integer, which every store can keep."""
    digest = xxhash.xxh3_64_intdigest(blob)
    return digest - 2 * _SIGNED if digest >= _SIGNED else digest


def timeline_id(key: str, version: int) -> str:
    """The id of a timeline entry: sorts by version, and a page's ids are known without a search."""
    return f"{key}#{version:012d}"


def rejection_of(
    key: str, event_id: str | None, place: str, offset: int, timestamp: int, verdict: Rejected
) -> Rejection:
    """The rejection to store; ``place`` names the record where the event has no id that can be read."""
    return Rejection(
        id=f"{key}#{event_id if event_id is not None else '@' + place}",
        offset=offset,
        timestamp=timestamp,
        reason=verdict.reason.text,
        version=verdict.version,
        detail=verdict.detail,
    )
