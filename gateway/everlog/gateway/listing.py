"""Lists across sessions: those of a tenant that a principal may see, and the interrupts that are pending in them.

Owners of a tenant, analysts, operators and auditors see every session of their tenant; editors and viewers those that
they own or are present in. Nobody sees another tenant's.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from everlog.domain.event import Event
from everlog.domain.law import LAW
from everlog.domain.searching import Query
from everlog.domain.stored import TimelineEntry
from everlog.domain.types.batch import BatchAppended
from everlog.domain.types.interrupt import InterruptRaised
from everlog.domain.view import FOLD_VERSION
from everlog.gateway.answers import interrupt_body, listed_body
from everlog.gateway.identity import Identity
from everlog.gateway.live import LivePointer
from everlog.gateway.reading import Shown
from everlog.gateway.timeline import TimelineReader
from everlog.ports.hot import TAIL_ENTRIES
from everlog.ports.warm import Hit
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.identifiers import split_key

SEE_ALL: Final = frozenset({"owner", "analyst", "operator", "auditor"})
"""Roles that see every session of their tenant in lists."""
LOOKED_AT: Final = 4 * TAIL_ENTRIES
"""Newest entries of a session among which a pending interrupt is looked for: who waits for an answer says little."""
SESSIONS_AT_ONCE: Final = 8
CURSOR_CHARACTERS: Final = 512


class Asked(NamedTuple):
    """What somebody looks for; see ``Query``."""

    limit: int
    cursor: str | None
    status: str | None = None
    labels: tuple[tuple[str, ...], ...] = ()
    participant: str | None = None
    words: tuple[str, ...] = ()
    has_interrupts: bool = False


class Listing:
    """Lists sessions and interrupts. Methods raise ``InvalidEventError`` for a cursor, and ``UnavailableError``."""

    def __init__(self, pointer: LivePointer, timelines: TimelineReader) -> None:
        self._pointer, self._timelines = pointer, timelines

    async def sessions(self, identity: Identity, asked: Asked) -> tuple[list[dict[str, Any]], str | None]:
        """Bodies of ``ListedSession``, the latest updated first, and the cursor of the next page."""
        hits, following = await self._hits(identity, asked)
        return [listed_body(hit.stored) for hit in hits if hit.stored is not None], following

    async def interrupts(self, identity: Identity, asked: Asked) -> tuple[list[dict[str, Any]], str | None]:
        """Bodies of ``InterruptAnswer`` of the sessions of a page."""
        hits, following = await self._hits(identity, asked._replace(has_interrupts=True))
        turns = asyncio.Semaphore(SESSIONS_AT_ONCE)

        async def one(hit: Hit) -> list[dict[str, Any]]:
            async with turns:
                return await self._of_session(hit)

        return [body for bodies in await asyncio.gather(*map(one, hits)) for body in bodies], following

    async def _hits(self, identity: Identity, asked: Asked) -> tuple[list[Hit], str | None]:
        query = Query(
            tenant=identity.tenant,
            status=asked.status,
            labels=asked.labels,
            participant=asked.participant,
            principal=None if identity.role in SEE_ALL else identity.principal,
            words=asked.words,
            has_interrupts=asked.has_interrupts,
            before=_decoded(asked.cursor) if asked.cursor is not None else None,
            limit=asked.limit + 1,
        )
        hits = await (await self._pointer.tiers()).warm.search(query)
        if len(hits) <= asked.limit:
            return hits, None
        hits = hits[: asked.limit]
        return hits, _encoded(hits[-1].updated_ms, hits[-1].key)

    async def _of_session(self, hit: Hit) -> list[dict[str, Any]]:
        stored = hit.stored
        if stored is None or stored.state is None:
            return []
        pending = stored.state.standing.interrupts
        shown = Shown(stored.state, "warm", FOLD_VERSION, stored.timeline_from)
        found = await self._raised(hit.key, shown, pending)
        session = split_key(hit.key)[1]
        return [interrupt_body(session, name, by, *(found.get(name) or (None, None))) for name, by in pending.items()]

    async def _raised(
        self, key: str, shown: Shown, pending: Mapping[str, str]
    ) -> dict[str, tuple[TimelineEntry, InterruptRaised]]:
        """The newest event that raised each, looked for backwards."""
        found: dict[str, tuple[TimelineEntry, InterruptRaised]] = {}
        last = shown.version
        while last >= max(1, shown.version - LOOKED_AT + 1) and len(found) < len(pending):
            first = max(1, last - TAIL_ENTRIES + 1)
            entries, _ = await self._timelines.stretch(key, shown, first, last)
            for entry in reversed(entries):
                for payload in _raised_by(entry):
                    if payload.interrupt in pending:
                        found.setdefault(payload.interrupt, (entry, payload))
            last = first - 1
        return found


def _raised_by(entry: TimelineEntry) -> list[InterruptRaised]:
    event = LAW.decode(entry.value)
    if not isinstance(event, Event):
        return []
    payloads = event.payload.events if isinstance(event.payload, BatchAppended) else (event.payload,)
    return [payload for payload in payloads if isinstance(payload, InterruptRaised)]


def _encoded(updated_ms: int, key: str) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((updated_ms, key))).rstrip(b"=").decode()


def _decoded(cursor: str) -> tuple[int, str]:
    try:
        if len(cursor) > CURSOR_CHARACTERS:
            raise ValueError("it is too long")
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        return msgspec.msgpack.decode(packed, type=tuple[int, str])
    except (ValueError, msgspec.MsgspecError):
        raise InvalidEventError("cursor is not a page's next", hint="Leave it out to begin at the newest") from None
