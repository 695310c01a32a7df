"""The state document: a JSON object changed by top-level key."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from everlog.domain.canonical import canonical, is_plain
from everlog.domain.event import Payload
from everlog.domain.standing import Standing
from everlog.domain.types.fields import Count, StateKey
from everlog.domain.verdicts import Reason, Rejected
from everlog.domain.view import View
from everlog.schemas import limits


def entry_size(key: str, value: Any) -> int:
    """Bytes that a key and its value count for: their canonical JSON."""
    return len(canonical(key)) + len(canonical(value))


class StatePatched(Payload, frozen=True):
    """Keys are set and removed; a key in both is set."""

    set: Annotated[dict[StateKey, Any], Meta(max_length=limits.STATE_KEYS)] = {}
    unset: Annotated[list[StateKey], Meta(max_length=limits.STATE_KEYS)] = []
    expected_keys: Annotated[dict[StateKey, Count], Meta(max_length=limits.STATE_KEYS)] = {}

    def is_plain(self) -> bool:
        """Values are free JSON; key names are free text."""
        return is_plain(self.set) and is_plain(self.expected_keys)

    def conflict(self, standing: Standing) -> tuple[str, ...]:
        """Keys whose version is another; an absent key has version 0."""
        return tuple(key for key, version in self.expected_keys.items() if standing.key_version(key) != version)

    def refusal(self, standing: Standing) -> Rejected | None:
        """The document would have too many keys or bytes."""
        removed = {key for key in (*self.unset, *self.set) if key in standing.keys}
        if len(standing.keys) - len(removed) + len(self.set) > limits.STATE_KEYS:
            return Rejected(Reason.LIMIT_EXCEEDED, standing.version, ("state_keys",))
        size = standing.state_bytes - sum(standing.keys[key].size for key in removed)
        if size + sum(entry_size(key, value) for key, value in self.set.items()) > limits.STATE_BYTES:
            return Rejected(Reason.LIMIT_EXCEEDED, standing.version, ("state_bytes",))
        return None

    def advance(self, standing: Standing, version: int) -> None:
        """Key versions and sizes."""
        for key in self.unset:
            standing.drop_key(key)
        for key, value in self.set.items():
            standing.set_key(key, version, entry_size(key, value))

    def show(self, view: View, version: int) -> None:
        """Values."""
        for key in self.unset:
            view.state.pop(key, None)
        view.state.update(self.set)
