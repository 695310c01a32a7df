"""The model's view of a long history is shortened."""

from __future__ import annotations

from collections.abc import Sequence

from everlog.domain.event import FreeJson, Payload, unknown
from everlog.domain.standing import Standing
from everlog.domain.types.content_fields import Summary, free_json
from everlog.domain.verdicts import Rejected
from everlog.domain.view import SummaryPointer, View


class HistoryCompacted(Summary, Payload, frozen=True):
    """A summary takes the place of a stretch of history, for models only."""

    def free_json(self) -> Sequence[FreeJson]:
        """Data parts."""
        return free_json(self.parts)

    def refusal(self, standing: Standing) -> Rejected | None:
        """A version that is not there yet."""
        return unknown(standing, f"version {self.to_version}") if self.to_version > standing.version else None

    def show(self, view: View, version: int) -> None:
        """Where the summary is; its text stays in the timeline, so that the state stays small."""
        view.summary = SummaryPointer(version, self.from_version, self.to_version)
