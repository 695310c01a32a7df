"""An application's own type: kept verbatim, shown in the timeline, folds to version + 1 and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from everlog.domain.event import FreeJson, Payload


class Custom(Payload, frozen=True):
    """Any JSON object under a name of the application's own."""

    data: dict[str, Any]

    def free_json(self) -> Sequence[FreeJson]:
        """All of it."""
        return ((0, self.data),)
