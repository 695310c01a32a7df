"""A partition that this worker owns, and what it knows of it only as long as it does."""

from __future__ import annotations

import asyncio

import structlog

from everlog.domain.stored import Parked, StoredSession
from everlog.projector.cache import StateCache

_log = structlog.get_logger(__name__)


class OwnedPartition:
    """A partition that this worker owns: its watermark, its cached states, and who works on it now."""

    def __init__(self, partition: int, cached_sessions: int) -> None:
        self.partition = partition
        self.watermark = 0
        self.cache = StateCache(cached_sessions)
        self.lock = asyncio.Lock()
        """Held by a batch, a request or a redrive, one at a time."""
        self.parked: dict[str, Parked] = {}
        """Its parked sessions, cold ones included."""

    def note(self, document: StoredSession) -> None:
        """A document was stored: remember whether its session is parked, and say so when it is new."""
        before, parked = self.parked.pop(document.key, None), document.parked
        if parked is None:
            return
        self.parked[document.key] = parked
        if not parked.is_cold and (before is None or (before.offset, before.reason) != (parked.offset, parked.reason)):
            place = {"era": document.era, "partition": document.partition, "offset": parked.offset}
            _log.error("session parked", session=document.key, reason=parked.reason, version=document.version, **place)
