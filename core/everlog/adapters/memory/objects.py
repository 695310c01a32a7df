"""The object store in memory: the reference of the contract suite."""

from __future__ import annotations

import hashlib

from everlog.ports.objects import ObjectInfo, StoredObject


class MemoryObjectStore:
    """An ``ObjectStore`` of one process. Calls never wait, so each is atomic."""

    def __init__(self) -> None:
        self._objects: dict[str, StoredObject] = {}
        self._writes = 0

    async def create(self, key: str, data: bytes) -> bool:
        """Put a new object; False if the key exists already."""
        if key in self._objects:
            return False
        self._put(key, data)
        return True

    async def swap(self, key: str, data: bytes, *, etag: str | None) -> str | None:
        """Replace the object whose ETag is ``etag``; the new ETag, or None if it moved."""
        current = self._objects.get(key)
        if (current.etag if current else None) != etag:
            return None
        return self._put(key, data)

    async def get(self, key: str, *, first: int = 0, length: int | None = None) -> StoredObject | None:
        """The bytes of an object or of a range of it; None if there is no such key."""
        current = self._objects.get(key)
        if current is None:
            return None
        end = len(current.data) if length is None else first + length
        return StoredObject(current.data[first:end], current.etag)

    async def head(self, key: str) -> ObjectInfo | None:
        """Size, ETag and checksum; None if there is no such key."""
        current = self._objects.get(key)
        if current is None:
            return None
        return ObjectInfo(len(current.data), current.etag, hashlib.sha256(current.data).hexdigest())

    async def delete(self, key: str) -> None:
        """Delete an object; no error if there is none."""
        self._objects.pop(key, None)

    def all_keys(self) -> list[str]:
        """All keys, sorted: for tests that look at what was written."""
        return sorted(self._objects)

    def peek(self, key: str) -> bytes:
        """An object's bytes, for tests; ``KeyError`` if there is none."""
        return self._objects[key].data

    def damage(self, key: str, data: bytes) -> None:
        """Replace an object's bytes behind everyone's back, under the same ETag: for tests of proofs."""
        self._objects[key] = StoredObject(data, self._objects[key].etag)

    def _put(self, key: str, data: bytes) -> str:
        self._writes += 1
        etag = f'"{self._writes:08x}"'
        self._objects[key] = StoredObject(bytes(data), etag)
        return etag
