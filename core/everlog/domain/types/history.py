"""The model's view of a long history is shortened."""

from __future__ import annotations

from collections.abc import Sequence

from everlog.domain.event import FreeJson, Payload, unknown
from everlog.domain.standing import Standing
from everlog.domain.types.content_fields import Parts, free_json
from everlog.domain.types.fields import Name, Version
from everlog.domain.verdicts import Rejected
from everlog.domain.view import SummaryPointer, View


class HistoryCompacted(Payload, frozen=True):
    """A summary takes the place of a stretch of history, for models only."""

    from_version: Version
    to_version: Version
    parts: Parts
    model: Name | None = None

    def __post_init__(self) -> None:
        """Refuse a stretch that ends before it begins."""
        if self.from_version > self.to_version:
            raise ValueError("from_version is above to_version")

    def free_json(self) -> Sequence[FreeJson]:
        """Data parts."""
        return free_json(self.parts)

    def refusal(self, standing: Standing) -> Rejected | None:
        """A version that is not there yet."""
        return unknown(standing, f"version {self.to_version}") if self.to_version > standing.version else None

    def show(self, view: View, version: int) -> None:
        """Where the summary is; its text stays in the timeline, so that the state stays small."""
        view.summary = SummaryPointer(version, self.from_version, self.to_version)
