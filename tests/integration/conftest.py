"""A whole Everlog that several files of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.command_line import CommandLine, free_base
from support.running import Running


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Stores, projector and gateway, as ``everlog up --all`` starts them: for tests that break nothing."""
    everlog = CommandLine(tmp_path_factory.mktemp("running"), free_base())
    try:
        everlog.ok("up", "--all")
        yield Running(everlog, everlog.ok("status", "--json").json["gateway"])
    finally:
        everlog("down")
