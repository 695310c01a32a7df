"""Several events as one: all or nothing, one version, one timeline entry, one outcome."""

from __future__ import annotations

from everlog.domain.event import Payload
from everlog.domain.standing import Standing
from everlog.domain.verdicts import Rejected
from everlog.domain.view import View


class BatchAppended(Payload, frozen=True):
    """The inner payloads, in order."""

    events: tuple[Payload, ...]

    def conflict(self, standing: Standing) -> tuple[str, ...]:
        """Expected key versions compare with the standing before the batch."""
        return tuple(key for payload in self.events for key in payload.conflict(standing))

    def refusal(self, standing: Standing) -> Rejected | None:
        """The first inner event that is refused on what those before it leave; names its index."""
        scratch = standing.scratch()
        for index, payload in enumerate(self.events):
            refused = payload.refusal(scratch)
            if refused is not None:
                return Rejected(refused.reason, refused.version, (f"events[{index}]", *refused.detail))
            payload.advance(scratch, standing.version + 1, "")
        return None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Each in order, under one version."""
        for payload in self.events:
            payload.advance(standing, version, actor)

    def show(self, view: View, version: int) -> None:
        """Each in order, under one version."""
        for payload in self.events:
            payload.show(view, version)
