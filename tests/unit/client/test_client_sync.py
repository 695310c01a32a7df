"""The face without await has what its core has."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import pytest

from everlog.client import Everlog, Participant, Run, Session, ToolCall
from everlog.client.portal import blocking, iterating
from everlog.client.sync import SyncEverlog, SyncParticipant, SyncRun, SyncSession, SyncToolCall
from everlog.client.testing import MemoryEverlog

PAIRS: list[tuple[type, type]] = [
    (Everlog, SyncEverlog),
    (Session, SyncSession),
    (Participant, SyncParticipant),
    (Run, SyncRun),
    (ToolCall, SyncToolCall),
]
ONLY_WITH_AWAIT = {
    "connect", "connect_sync",  # they make it
    "acts_as", "acting_headers", "lose", "fenced", "failure",  # for the core's own parts, or to be awaited beside work
}  # fmt: skip


def public(kind: type) -> dict[str, Any]:
    names = [name for name in dir(kind) if not name.startswith("_")]
    return {name: inspect.getattr_static(kind, name) for name in names}


@pytest.mark.parametrize(("core", "face"), PAIRS)
def test_every_public_method_has_its_twin(core: type, face: type) -> None:
    assert public(core).keys() - ONLY_WITH_AWAIT <= public(face).keys()


@pytest.mark.parametrize(("core", "face"), PAIRS)
def test_twins_take_the_same_parameters(core: type, face: type) -> None:
    for name, twin in public(face).items():
        if inspect.isfunction(twin):
            assert list(inspect.signature(twin).parameters) == list(inspect.signature(getattr(core, name)).parameters)
        elif isinstance(twin, blocking | iterating):
            assert twin.__doc__


def test_a_client_that_is_not_entered_says_how_to_use_it() -> None:
    log = MemoryEverlog().connect_sync()
    with pytest.raises(RuntimeError, match="use it as a context"):
        log.create("rome-42")


def test_nothing_goes_on_after_the_end() -> None:
    before = threading.active_count()
    with MemoryEverlog().connect_sync() as log:
        chat = log.create("rome-42")
        with chat.join("planner", kind="agent"):
            events = chat.follow(after=0)
            assert next(events).version == 1
    assert threading.active_count() == before
