"""The states that a worker keeps in memory: valid only while it owns their partition."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from everlog.domain.stored import Loaded, encode_stored

CACHE_BYTES: Final = 64 * 1024 * 1024
"""Documents of one partition, in their encoded size; in memory they take up to about twice as much (measured)."""


class StateCache:
    """The most recently written documents of one partition.

    A fold takes a document out and changes its state in place; it comes back only when the stores have answered. So
    a failed batch leaves nothing wrong behind: what it took is simply no longer cached.
    """

    def __init__(self, sessions_max: int, bytes_max: int = CACHE_BYTES) -> None:
        self._sessions_max, self._bytes_max = sessions_max, bytes_max
        self._documents: OrderedDict[str, tuple[Loaded, int]] = OrderedDict()
        """Each with its size when it was put: a fold changes it only after it was taken out."""
        self._bytes = 0

    def take(self, key: str) -> Loaded | None:
        """Remove and return a document."""
        loaded, size = self._documents.pop(key, (None, 0))
        self._bytes -= size
        return loaded

    def put(self, key: str, loaded: Loaded) -> None:
        """Keep a document; those that were unused longest go when there are too many or they are too large."""
        self.take(key)
        size = len(encode_stored(loaded.stored))
        self._documents[key] = loaded, size
        self._bytes += size
        while len(self._documents) > self._sessions_max or self._bytes > self._bytes_max:
            self._bytes -= self._documents.popitem(last=False)[1][1]

    def keys(self) -> list[str]:
        """The keys of what is kept now, the one that was unused longest first."""
        return list(self._documents)

    def look_at(self, key: str) -> Loaded | None:
        """A document, which stays; nobody may change it."""
        return self._documents.get(key, (None, 0))[0]

    def clear(self) -> None:
        """Forget everything."""
        self._documents.clear()
        self._bytes = 0
