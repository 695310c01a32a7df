"""Field types that several payloads share, as the strict decoder checks them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from everlog.schemas import limits
from everlog.schemas.identifiers import IDENTIFIER_PATTERN
from everlog.schemas.times import TIME_PATTERN


def anchored(pattern: str) -> str:
    r"""The pattern with its end anchored by ``\Z``: in Python's re a ``$`` also matches before a final line feed."""
    return f"{pattern.removesuffix('$')}\\Z"


Identifier = Annotated[str, Meta(pattern=anchored(IDENTIFIER_PATTERN))]
Time = Annotated[str, Meta(pattern=anchored(TIME_PATTERN))]
Text = Annotated[str, Meta(max_length=limits.TEXT_CHARACTERS)]
Name = Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARACTERS)]
Uri = Annotated[str, Meta(min_length=1, max_length=limits.URI_CHARACTERS)]
MediaType = Annotated[str, Meta(min_length=1, max_length=128)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
StateKey = Annotated[str, Meta(min_length=1, max_length=limits.STATE_KEY_CHARACTERS)]
StateValues = Annotated[dict[StateKey, Any], Meta(max_length=limits.STATE_KEYS)]
Count = Annotated[int, Meta(ge=0, le=limits.SAFE_INTEGER)]
Version = Annotated[int, Meta(ge=1, le=limits.SAFE_INTEGER)]
BatchIndex = Annotated[int, Meta(ge=0, lt=limits.BATCH_EVENTS)]
