"""An application's own type: kept verbatim, shown in the timeline, folds to version + 1 and nothing else."""

from __future__ import annotations

from typing import Any

from everlog.domain.canonical import is_plain
from everlog.domain.event import Payload


class Custom(Payload, frozen=True):
    """Any JSON object under a name of the application's own."""

    data: dict[str, Any]

    def is_plain(self) -> bool:
        """All of it is free JSON."""
        return is_plain(self.data)
