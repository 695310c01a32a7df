"""View: what people read of a session. Evolved under the generation's fold version, never read by ``decide``."""

from __future__ import annotations

from typing import Any, Final

import msgspec

FOLD_VERSION: Final = 1
"""Changes whenever a view would come out differently; a new one starts as a new generation only."""


class View(msgspec.Struct):
    """The readable part of a session's state."""

    created_at: str
    """The creation's ``time``: the producer's clock, RFC 3339."""
    updated_at: str
    title: str | None = None
    labels: dict[str, str] = {}
    state: dict[str, Any] = {}
    messages: int = 0
    """Messages appended, those in batches included."""
