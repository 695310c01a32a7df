"""A session's state: its standing and its view, how an accepted event evolves it, and the state hash."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from everlog.domain.event import Event
from everlog.domain.standing import Standing
from everlog.domain.types.session import SessionCreated
from everlog.domain.view import View

_NOT_HASHED: Final = frozenset({"ring", "rules"})
_HASHED: Final = tuple(name for name in Standing.__struct_fields__ if name not in _NOT_HASHED)
_hashing_encoder: Final = msgspec.msgpack.Encoder(order="sorted")


class State(msgspec.Struct):
    """The state of a session. A fold owns its working copy and changes it in place."""

    key: str
    """``tenant/session``"""
    standing: Standing
    view: View

    @property
    def version(self) -> int:
        """How many events of the session were accepted."""
        return self.standing.version


def evolve(state: State | None, event: Event, version: int) -> State:
    """The state after an accepted event that made ``version``; changes and returns the same object."""
    payload = event.payload
    if state is None:
        assert isinstance(payload, SessionCreated)  # noqa: S101 (a type narrowing: decide accepts nothing else)
        return State(event.key, payload.first_standing(event.content_hash, event.rules), payload.first_view(event.time))
    standing, view = state.standing, state.view
    payload.advance(standing, version, event.actor)
    payload.show(view, version)
    standing.version = version
    if event.rules > standing.rules:
        standing.rules = event.rules
    view.updated_at = event.time
    return state


def state_hash(state: State) -> str:
    """The hash that is equal wherever and whenever the same history was folded, hex.

    Over the sorted MessagePack of identity, standing (without recent outcomes and rules number) and view.
    """
    hashed = [state.key, {name: getattr(state.standing, name) for name in _HASHED}, state.view]
    return sha256(_hashing_encoder.encode(hashed)).hexdigest()
