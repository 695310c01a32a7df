"""The model's view of a long history is shortened."""

from __future__ import annotations

from everlog.schemas.payloads.base import Payload, Summary


class HistoryCompacted(Summary, Payload):
    """A summary takes the place of a stretch of history, for models only; the log is untouched."""

    type_name = "everlog.history.compacted.v1"
    in_batch = True
