"""Encrypted content as the fold sees it: a size and a mac. It is never opened."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from everlog.domain.canonical import canonical
from everlog.domain.types.fields import Identifier, anchored
from everlog.schemas import content, limits

MARK: Final = b'"enc":{'
"""Stands in the canonical JSON of everything that holds an encrypted value (and of little else)."""


class Ciphertext(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An encrypted value."""

    key: Identifier
    mac: Annotated[str, Meta(pattern=anchored(content.MAC_PATTERN))]
    nonce: Annotated[str, Meta(pattern=anchored(content.NONCE_PATTERN))]
    size: Annotated[int, Meta(ge=0, le=limits.VALUE_BYTES)]
    text: Annotated[str, Meta(pattern=anchored(content.CIPHERTEXT_PATTERN))]

    def __post_init__(self) -> None:
        """Refuse a size that is not the ciphertext's: bounds count it."""
        if len(self.text) != content.ciphertext_characters(self.size):
            raise ValueError("the length of the ciphertext and the size do not agree")


class Encrypted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A content value that stands encrypted."""

    enc: Ciphertext


def as_encrypted(value: Any) -> Encrypted | None:
    """The encrypted value that a JSON value is; None for anything else, however alike."""
    if not isinstance(value, dict) or len(value) != 1 or "enc" not in value:
        return None
    try:
        return msgspec.convert(value, Encrypted)
    except msgspec.ValidationError:
        return None


def clear_size(value: Any) -> int:
    """Bytes that a content value counts for: its canonical JSON, or what an encrypted one says of it."""
    encrypted = as_encrypted(value)
    return encrypted.enc.size if encrypted is not None else len(canonical(value))


def masked(value: Any) -> Any:
    """A JSON value with every encrypted value in it reduced to what is the same at every attempt: size and mac."""
    encrypted = as_encrypted(value)
    if encrypted is not None:
        return {"enc": {"mac": encrypted.enc.mac, "size": encrypted.enc.size}}
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value
