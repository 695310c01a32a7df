"""The object store: immutable objects, and one kind of small object that is swapped by its ETag."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class ObjectInfo(NamedTuple):
    """What an object store tells of an object: size in bytes, ETag, sha256 of its bytes (hex) if stored with it."""

    size: int
    etag: str
    sha256: str | None


class StoredObject(NamedTuple):
    """An object's bytes and the ETag they had."""

    data: bytes
    etag: str


class ObjectStore(Protocol):
    """S3 as Everlog uses it: whole single-part puts, ranged gets, compare-and-swap by ETag; never a LIST.

    Every method raises ``UnavailableError`` when the store does not answer within its deadline.
    """

    async def create(self, key: str, data: bytes) -> bool:
        """Put a new object (If-None-Match: *). False if the key exists already (its bytes are left as they are)."""

    async def swap(self, key: str, data: bytes, *, etag: str | None) -> str | None:
        """Replace the object whose ETag is ``etag`` (None: there must be none); its new ETag, or None if it moved."""

    async def get(self, key: str, *, first: int = 0, length: int | None = None) -> StoredObject | None:
        """The bytes of an object, or of the range ``[first, first + length)``; None if there is no such key."""

    async def head(self, key: str) -> ObjectInfo | None:
        """Size, ETag and checksum of an object; None if there is no such key."""

    async def delete(self, key: str) -> None:
        """Delete an object; no error if there is none."""
