"""The state document: a JSON object changed by top-level key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from everlog.domain.event import FreeJson, Payload, too_much
from everlog.domain.standing import Standing
from everlog.domain.types.fields import Count, StateKey, StateValues
from everlog.domain.verdicts import Rejected
from everlog.domain.view import View
from everlog.schemas import limits


class StatePatched(Payload, frozen=True):
    """Keys are removed, then set."""

    set: StateValues = {}
    unset: Annotated[list[StateKey], Meta(max_length=limits.STATE_KEYS)] = []
    expected_keys: Annotated[dict[StateKey, Count], Meta(max_length=limits.STATE_KEYS)] = {}

    def free_json(self) -> Sequence[FreeJson]:
        """The values; and key names, which are free text."""
        return ((1, self.set), (1, self.expected_keys))

    def conflict(self, standing: Standing) -> tuple[str, ...]:
        """Keys whose version is another; an absent key has version 0."""
        return tuple(key for key, version in self.expected_keys.items() if standing.key_version(key) != version)

    def refusal(self, standing: Standing) -> Rejected | None:
        """The document would have too many keys or bytes."""
        limit = standing.exceeded_by(self.set, self.unset)
        return too_much(standing, limit) if limit is not None else None

    def advance(self, standing: Standing, version: int, actor: str) -> None:
        """Key versions and sizes."""
        for key in self.unset:
            standing.drop_key(key)
        standing.set_keys(self.set, version)

    def show(self, view: View, version: int) -> None:
        """Values."""
        for key in self.unset:
            view.state.pop(key, None)
        view.state.update(self.set)
