"""What sessions are found by: fields that stand beside a document, derived from it alone and written with it.

Only what is clear is ever found: an encrypted title or label value has no words here, a label's name always has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from everlog.domain.stored import StoredSession
from everlog.schemas.identifiers import split_key

WORDS: Final = 64
"""Words of a session that it is found by: a title of 512 characters has fewer, usually."""
WORD_CHARACTERS: Final = 64
"""Of a word: what is longer is found by its beginning."""
CACHED: Final = 16_384
"""Titles whose words are remembered, for a session is written again and again: some 20 MiB at most."""
_WORD: Final = re.compile(r"[^\W_]+")


class Found(NamedTuple):
    """What a session is found by."""

    tenant: str
    status: str
    labels: list[str]
    """Names, and ``name=value`` of clear values: a name has no ``=``."""
    participants: list[str]
    """Names and principals of those present, the owner among them."""
    principals: list[str]
    """Principals of those present, the owner among them."""
    words: Sequence[str]
    """Of its id and its clear title, in small letters."""
    interrupts: list[str]
    """Those that are pending."""
    updated_ms: int
    """The time of its last event, milliseconds since 1970; 0 of a stub, which does not keep it."""


def found_by(stored: StoredSession, now_ms: int) -> Found | None:
    """What a document is found by; None where there is no session: a creation that was parked.

    A clock of a producer that is ahead counts as ``now_ms``.
    """
    tenant, session = split_key(stored.key)
    if stored.state is None:
        stub = stored.stub
        if stub is None:
            return None
        return Found(tenant, stub.status, _labels(stub.labels), [], [], words_of(session), [], 0)
    standing, view = stored.state.standing, stored.state.view
    present = {name: entry.principal for name, entry in standing.roster.items() if entry.present}
    if standing.owner:
        present[standing.owner] = standing.owner
    title = view.title if isinstance(view.title, str) else ""
    return Found(
        tenant,
        standing.status,
        _labels(view.labels),
        _distinct([*present, *present.values()]),
        _distinct(present.values()),
        words_of(f"{session} {title}"),
        list(standing.interrupts),
        min(_milliseconds(view.updated_at), now_ms),
    )


@lru_cache(CACHED)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, in small letters, each once; the first ``WORDS``."""
    return tuple(_distinct(word[:WORD_CHARACTERS] for word in _WORD.findall(text.casefold()))[:WORDS])


def label_terms(label: str) -> list[str]:
    """What a label that is searched for may stand for: a name, or ``name:value`` split at any colon, for names and
    values may both hold colons."""
    parts = label.split(":")
    splits = [f"{':'.join(parts[:at])}={':'.join(parts[at:])}" for at in range(1, len(parts))]
    return [label, *splits]


def _labels(labels: dict[str, object]) -> list[str]:
    return [*labels, *(f"{name}={value}" for name, value in labels.items() if isinstance(value, str))]


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _milliseconds(time: str) -> int:
    """Of a time on the log, which need not be one of the calendar's: then 0, for nobody may fail at it."""
    try:
        return int(datetime.fromisoformat(time.replace(":60", ":59")).timestamp() * 1000)
    except ValueError:
        return 0


class Query(NamedTuple):
    """Which sessions of a tenant are looked for; all conditions hold."""

    tenant: str
    status: str | None = None
    labels: Sequence[Sequence[str]] = ()
    """Of each group one term, as ``label_terms`` gives them."""
    participant: str | None = None
    principal: str | None = None
    """Only those in which this principal is present, or that it owns."""
    words: Sequence[str] = ()
    """Each must begin a word of the session."""
    has_interrupts: bool = False
    before: tuple[int, str] | None = None
    """``updated_ms`` and key of the last one that was seen: only what lies behind it."""
    limit: int = 50

    def finds(self, key: str, found: Found) -> bool:
        """Whether a session is looked for: what every store must agree with."""
        return (
            found.tenant == self.tenant
            and self.status in {None, found.status}
            and all(any(term in found.labels for term in group) for group in self.labels)
            and (self.participant is None or self.participant in found.participants)
            and (self.principal is None or self.principal in found.principals)
            and all(any(known.startswith(word) for known in found.words) for word in self.words)
            and (not self.has_interrupts or bool(found.interrupts))
            and (self.before is None or (found.updated_ms, key) < self.before)
        )
