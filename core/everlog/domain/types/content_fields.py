"""Content fields and the structures made of them, as the strict decoder checks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from everlog.domain.content import Encrypted
from everlog.domain.event import FreeJson
from everlog.domain.types.fields import Count, Identifier, MediaType, Name, Sha256, Text, Uri, Version
from everlog.schemas import limits

Title = Annotated[str, Meta(max_length=limits.TITLE_CHARACTERS)] | Encrypted
LabelValue = Annotated[str, Meta(max_length=limits.LABEL_VALUE_CHARACTERS)] | Encrypted
Labels = Annotated[dict[Identifier, LabelValue], Meta(max_length=limits.LABELS)]
ContentText = Text | Encrypted


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One part of a message."""

    type: Literal["text", "file", "data", "reasoning"]
    text: str | None = None
    uri: Uri | None = None
    sha256: Sha256 | None = None
    size_bytes: Count | None = None
    media_type: MediaType | None = None
    data: Any = None


Parts = Annotated[list[Part], Meta(min_length=1, max_length=limits.PARTS)] | Encrypted


class Problem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Why something failed."""

    type: Name
    message: ContentText
    code: Name | None = None
    retryable: bool = False


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What a model sees instead of a stretch of history."""

    from_version: Version
    to_version: Version
    parts: Parts
    model: Name | None = None

    def __post_init__(self) -> None:
        """Refuse a stretch that ends before it begins."""
        if self.from_version > self.to_version:
            raise ValueError("from_version is above to_version")


def free_json(parts: list[Part] | Encrypted, around: int = 1) -> Sequence[FreeJson]:
    """The free JSON in parts; ``around`` counts what stands around their array."""
    if isinstance(parts, Encrypted):
        return ()
    return [(around + 2, part.data) for part in parts if part.data is not None]
