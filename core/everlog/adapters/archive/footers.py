"""Footers in memory: the warm index of every lookup."""

from __future__ import annotations

from collections import OrderedDict

from everlog.archive.footer import SegmentFooter

FOOTER_CACHE_BYTES = 64 << 20
"""Bound of cached footers by encoded size: 4,000 level-0 footers of 15 KB; parsed they take several times that."""


class FooterCache:
    """Parsed footers by segment key, the least recently used leave first."""

    def __init__(self, capacity_bytes: int = FOOTER_CACHE_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._used_bytes = 0
        self._footers: OrderedDict[str, tuple[SegmentFooter, int]] = OrderedDict()

    def get(self, key: str) -> SegmentFooter | None:
        """The footer of a segment, if it is cached."""
        found = self._footers.get(key)
        if found is None:
            return None
        self._footers.move_to_end(key)
        return found[0]

    def put(self, key: str, footer: SegmentFooter, size: int) -> None:
        """Keep a footer whose encoded form has ``size`` bytes."""
        if key in self._footers:
            return
        self._footers[key] = (footer, size)
        self._used_bytes += size
        while self._used_bytes > self._capacity_bytes and len(self._footers) > 1:
            _, (_, dropped) = self._footers.popitem(last=False)
            self._used_bytes -= dropped
