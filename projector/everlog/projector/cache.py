"""The states that a worker keeps in memory: valid only while it owns their partition."""

from __future__ import annotations

from collections import OrderedDict

from everlog.domain.stored import Loaded


class StateCache:
    """The most recently written documents of one partition.

    A fold takes a document out and changes its state in place; it comes back only when the stores have answered. So
    a failed batch leaves nothing wrong behind: what it took is simply no longer cached.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._documents: OrderedDict[str, Loaded] = OrderedDict()

    def take(self, key: str) -> Loaded | None:
        """Remove and return a document."""
        return self._documents.pop(key, None)

    def put(self, key: str, loaded: Loaded) -> None:
        """Keep a document; the one that was unused longest goes when there are too many."""
        self._documents[key] = loaded
        self._documents.move_to_end(key)
        while len(self._documents) > self._bound:
            self._documents.popitem(last=False)

    def keys(self) -> list[str]:
        """The keys of what is kept now, the one that was unused longest first."""
        return list(self._documents)

    def look_at(self, key: str) -> Loaded | None:
        """A document, which stays; nobody may change it."""
        return self._documents.get(key)

    def clear(self) -> None:
        """Forget everything."""
        self._documents.clear()
