"""Content: what people wrote, clear or encrypted.

A content value may stand encrypted as ``{"enc": {key, nonce, text, size, mac}}`` with AES-GCM-SIV (RFC 8452). The fold
never opens it: it reads the size of the clear value, which the length of the ciphertext must agree with, and for the
content hash the size and the mac, which are the same at every attempt while nonce and ciphertext may differ.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Discriminator, Field, GetJsonSchemaHandler, Tag, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from everlog.schemas.identifiers import Identifier
from everlog.schemas.limits import VALUE_BYTES

TAG_BYTES: Final = 16
"""Of AES-GCM-SIV, behind the ciphertext (RFC 8452, section 4)."""
NONCE_PATTERN: Final = r"^[A-Za-z0-9_-]{16}$"
"""12 bytes (RFC 8452, section 4) in base64url without padding (RFC 4648, section 5)."""
MAC_PATTERN: Final = r"^[A-Za-z0-9_-]{22}$"
"""16 bytes in base64url without padding."""
CIPHERTEXT_PATTERN: Final = r"^[A-Za-z0-9_-]+$"

MODEL: Final = ConfigDict(frozen=True, extra="forbid", strict=True)
"""Of everything that lies on the log: frozen, strict, no unknown fields."""

CONTENT_KEYWORD: Final = "x-everlog-content"
"""What JSON Schemas say of a value that holds content."""


class Content:
    """Marks a field that holds content of people: it may be encrypted, and is erased with its session."""

    @classmethod
    def __get_pydantic_json_schema__(cls, value: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(value), CONTENT_KEYWORD: True}


def ciphertext_characters(size: int) -> int:
    """How many characters of base64url the ciphertext of ``size`` clear bytes has, its tag included."""
    return -(-(size + TAG_BYTES) * 4 // 3)


class Ciphertext(BaseModel):
    """An encrypted value; clear is the canonical JSON of what stands in its place otherwise."""

    model_config = MODEL

    key: Identifier = Field(description="Data key of the session")
    nonce: str = Field(pattern=NONCE_PATTERN, description="12 bytes, base64url")
    text: str = Field(pattern=CIPHERTEXT_PATTERN, description="Ciphertext and tag, base64url")
    size: int = Field(ge=0, le=VALUE_BYTES, description="Bytes of the clear value")
    mac: str = Field(pattern=MAC_PATTERN, description="16 bytes, base64url; the same at every attempt")

    @model_validator(mode="after")
    def _size_agrees(self) -> Ciphertext:
        if len(self.text) != ciphertext_characters(self.size):
            raise ValueError("the length of the ciphertext and the size do not agree")
        return self


class Encrypted(BaseModel):
    """A content value that stands encrypted."""

    model_config = MODEL

    enc: Ciphertext


CLEAR_TAG: Final = "(clear)"
ENCRYPTED_TAG: Final = "(encrypted)"


def _which(value: Any) -> str:
    is_encrypted = isinstance(value, Encrypted) or (isinstance(value, dict) and set(value) == {"enc"})
    return ENCRYPTED_TAG if is_encrypted else CLEAR_TAG


Clear = Tag(CLEAR_TAG)
Sealed = Annotated[Encrypted, Tag(ENCRYPTED_TAG)]
Either = Discriminator(_which)
"""A content field is ``Annotated[Annotated[<its type>, Clear] | Sealed, Either, Content]``: errors name one of both."""
