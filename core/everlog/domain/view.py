"""View: what people read of a session. Evolved under the generation's fold version, never read by ``decide``."""

from __future__ import annotations

from typing import Any, Final

import msgspec

FOLD_VERSION: Final = 1
"""Changes whenever a view would come out differently; a new one starts as a new generation only."""


class Usage(msgspec.Struct, array_like=True):
    """Totals of the runs that completed; each stops at the largest safe integer."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0


class Artifact(msgspec.Struct, array_like=True, frozen=True):
    """An artifact that was added at ``version``."""

    artifact: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    uri: str
    version: int


class SummaryPointer(msgspec.Struct, array_like=True, frozen=True):
    """Where the summary is that a model sees: in the timeline entry of ``version``; and the versions that it covers."""

    version: int
    from_version: int
    to_version: int


class Fork(msgspec.Struct, array_like=True, frozen=True):
    """The session and version that this one goes on from."""

    session: str
    version: int


class View(msgspec.Struct):
    """The readable part of a session's state. Content may stand encrypted, as ``{"enc": ...}``."""

    created_at: str
    """The creation's ``time``: the producer's clock, RFC 3339; likewise below."""
    updated_at: str
    title: Any = None
    labels: dict[str, Any] = {}
    state: dict[str, Any] = {}
    usage: Usage = msgspec.field(default_factory=Usage)
    messages: int = 0
    """Messages appended, those in batches included."""
    artifacts: list[Artifact] = []
    """The newest, oldest first."""
    summary: SummaryPointer | None = None
    forked_from: Fork | None = None
