"""What became of an event, looked up by its id: recent outcomes, rejections, then the timeline."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from everlog.domain.canonical import id_hash
from everlog.domain.stored import Loaded, Rejection
from everlog.domain.verdicts import Accepted, Reason, Rejected, Verdict
from everlog.gateway.live import LivePointer, Tiers
from everlog.gateway.reading import SessionReader
from everlog.gateway.timeline import TimelineReader
from everlog.ports.warm import DamagedDocumentsError
from everlog.schemas.errors import NotFoundError, UnavailableError
from everlog.schemas.limits import RING_ACCEPTED

LOOKED_AT: Final = 1024
"""Timeline entries after the version known at the hand-over that are looked at: four times the ring."""


class _Id(msgspec.Struct):
    id: str


log = logging.getLogger(__name__)
_ids: Final = msgspec.json.Decoder(_Id)


def is_about_earlier(verdict: Verdict) -> bool:
    """Whether a verdict only says that there was an earlier event of the same id: that one may be in the timeline."""
    return isinstance(verdict, Rejected) and verdict.reason in (Reason.RETRY_EXPIRED, Reason.ID_REUSED)


class OutcomeFinder:
    """Finds verdicts of events. Every method raises ``UnavailableError``."""

    def __init__(self, reader: SessionReader, timelines: TimelineReader, pointer: LivePointer) -> None:
        self._reader, self._timelines, self._pointer = reader, timelines, pointer

    async def find(self, key: str, event_id: str, after: int | None) -> Accepted | Rejected | None:
        """The verdict on an event; None only when everything that was on the log has been looked at.

        ``after`` is a version that the session had before the event; without it the newest entries are looked at.
        """
        found = await self.recent(key, event_id)
        if found is None:
            await self._reader.settle(await self._pointer.tiers(), key)
            found = await self.recent(key, event_id)
        if found is None or is_about_earlier(found):
            return await self.in_timeline(key, event_id, after) or found
        return found

    async def recent(self, key: str, event_id: str) -> Accepted | Rejected | None:
        """The verdict if the state, hot or warm, or the rejections tell it now."""
        tiers = await self._pointer.tiers()
        known = None
        try:
            stored = await tiers.hot.get(key)
        except UnavailableError:
            stored = None
        if stored is not None and stored.state is not None:
            known = stored.state.standing.ring.outcome(id_hash(event_id))
        if known is None:
            loaded = await self._warm(tiers, key)
            if loaded is not None and loaded.stored.state is not None:
                known = loaded.stored.state.standing.ring.outcome(id_hash(event_id))
        if isinstance(known, Accepted):
            return known
        rejection = await tiers.warm.rejection(key, event_id)
        return _verdict(rejection) if rejection is not None else known

    async def _warm(self, tiers: Tiers, key: str) -> Loaded | None:
        """The warm document; a damaged one is as good as none, the timeline and the rejections tell more."""
        try:
            return (await tiers.warm.load([key])).get(key)
        except DamagedDocumentsError as error:
            log.warning("%s", error)
            return None

    async def detail(self, key: str, event_id: str, rejected: Rejected) -> tuple[str, ...]:
        """What clashed in a rejection, if it is known."""
        rejection = await (await self._pointer.tiers()).warm.rejection(key, event_id)
        return rejection.detail if rejection is not None and rejection.reason == rejected.reason.text else ()

    async def in_timeline(self, key: str, event_id: str, after: int | None) -> Accepted | None:
        """The acceptance of an event among the entries behind a version. Raises ``ParkedError``."""
        try:
            version = (await self._reader.current(key)).version
        except NotFoundError:
            return None
        at = max(0, version - LOOKED_AT) if after is None else after
        last: int | None = at
        while last is not None and last < at + LOOKED_AT:
            page = await self._timelines.page(
                key, after=last, limit=min(RING_ACCEPTED, at + LOOKED_AT - last), newest_first=False
            )
            for entry in page.entries:
                if _ids.decode(entry.value).id == event_id:
                    return Accepted(entry.version)
            last = page.next_after
        return None


def _verdict(rejection: Rejection) -> Rejected:
    return Rejected(Reason[rejection.reason.upper()], rejection.version, rejection.detail)
