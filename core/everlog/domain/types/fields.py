"""Field types that several payloads share, as the strict decoder checks them."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from everlog.schemas import limits
from everlog.schemas.identifiers import IDENTIFIER_PATTERN, SYSTEM_ACTOR_PREFIX

# The pattern is anchored with \Z: in Python's re a $ would also match before a final line feed.
_IDENTIFIER: Final = IDENTIFIER_PATTERN.replace("$", r"\Z")

Identifier = Annotated[str, Meta(pattern=_IDENTIFIER)]
Title = Annotated[str, Meta(max_length=limits.TITLE_CHARACTERS)]
Text = Annotated[str, Meta(max_length=limits.TEXT_CHARACTERS)]
LabelValue = Annotated[str, Meta(max_length=limits.LABEL_VALUE_CHARACTERS)]
StateKey = Annotated[str, Meta(min_length=1, max_length=limits.STATE_KEY_CHARACTERS)]
Count = Annotated[int, Meta(ge=0, le=limits.SAFE_INTEGER)]
Version = Annotated[int, Meta(ge=1, le=limits.SAFE_INTEGER)]


def check_member(name: str) -> None:
    """Raise ``ValueError`` for a participant or owner that poses as the system."""
    if name.startswith(SYSTEM_ACTOR_PREFIX):
        raise ValueError(f"no participant or owner may be named {SYSTEM_ACTOR_PREFIX}...")
