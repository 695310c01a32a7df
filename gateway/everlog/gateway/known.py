"""What this door knows of sessions without waiting for anything: their versions, and a look at hot or warm."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from everlog.domain.standing import Standing
from everlog.gateway.reading import SessionReader

VERSIONS_KNOWN: Final = 65_536
"""Sessions whose last seen version is remembered: about 12 MiB."""
VERSION_AGE_S: Final = 10.0
"""A version is taken as it was seen for so long, which spares a look at the hot store (a quarter of an append's time).
Every append through this door makes it new; if other doors bring a session more than 256 events meanwhile, a retry may
be told that it has expired."""


class Seen(NamedTuple):
    """A session as it was seen last; no standing: it was not looked at."""

    version: int
    standing: Standing | None = None


class KnownSessions:
    """Versions that were seen lately."""

    def __init__(self, reader: SessionReader, monotonic_s: Callable[[], float]) -> None:
        self._reader, self._monotonic_s = reader, monotonic_s
        self._versions: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def note(self, key: str, version: int) -> None:
        """The session has this version, or a later one."""
        before, _ = self._versions.pop(key, (0, 0.0))
        self._versions[key] = max(version, before), self._monotonic_s()
        if len(self._versions) > VERSIONS_KNOWN:
            self._versions.popitem(last=False)

    async def see(self, key: str, *, closely: bool) -> Seen:
        """The version that a session has at least, and its standing where it is looked at ``closely``."""
        version, since_s = self._versions.get(key, (0, float("-inf")))
        if not closely and self._monotonic_s() - since_s <= VERSION_AGE_S:
            return Seen(version)
        stored = await self._reader.glance(key)
        if stored is None:
            return Seen(version)
        self.note(key, stored.version)
        return Seen(max(version, stored.version), stored.state.standing if stored.state is not None else None)
