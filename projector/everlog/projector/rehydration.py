"""Stubs of states, and bringing the state of a stub back, from the archive."""

from __future__ import annotations

import time

from everlog.domain.state import State, state_hash
from everlog.domain.stored import Loaded, Stub
from everlog.ports.history import History
from everlog.projector import metrics
from everlog.schemas.errors import IntegrityError


def stub_of(state: State) -> Stub:
    """What stays of a session whose state leaves."""
    return Stub(state.version, state.standing.status, state.view.labels, state_hash(state))


async def rehydrate(loaded: Loaded, history: History) -> Loaded:
    """The document with its state again; its base stays the stub, onto which it will be written.

    The entries stay cold. Raises ``IntegrityError`` when what the archive gives is not what was evicted.
    """
    stored = loaded.stored
    if stored.stub is None:
        return loaded
    began = time.perf_counter()
    state = await history.state(stored.key, until_offset=stored.offset + 1)
    if state is None or state_hash(state) != stored.stub.state_hash:
        raise IntegrityError(
            f"the archive does not give back the state of {stored.key} at version {stored.stub.version}",
            hint="Check the archive with: everlog archive status",
        )
    stored.state, stored.stub = state, None
    metrics.rehydrate_seconds.observe(time.perf_counter() - began)
    return loaded
