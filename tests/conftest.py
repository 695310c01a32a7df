"""Fixtures of every test: the real services."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from everlog.local.ports import Ports
from everlog.local.stack import ALL, Addresses, Stack
from support import containers

# EVERLOG_TEST_KAFKA=host:port, EVERLOG_TEST_REDIS, _MONGO and _S3 as URLs; S3 also needs its two keys.
_VARIABLES = {field: f"EVERLOG_TEST_{field.upper()}" for field in Addresses.__slots__}


def pytest_configure() -> None:
    """No test sees the settings of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("EVERLOG_") and name not in _VARIABLES.values()]:
        del os.environ[name]
    os.environ["EVERLOG_LOCAL__DIRECTORY"] = str(Path(__file__).parent / "there-is-no-such-directory")


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Kafka, Redis, MongoDB and S3, started when the first test asks and stopped with the last.

    An address in the environment is used as it is; what has none runs in a container where a Docker engine answers,
    else as a child process of this one.
    """
    given = {field: os.environ[name] for field, name in _VARIABLES.items() if os.environ.get(name)}
    missing = tuple(name for name in ALL if name not in given)
    with ExitStack() as running:
        if missing and containers.engine_answers():
            given |= running.enter_context(containers.running(missing))
        elif missing:
            stack = Stack(tmp_path_factory.mktemp("services"), Ports.free(), services=missing)
            running.callback(stack.stop)
            started = stack.start()
            given = {field: getattr(started, field) for field in Addresses.__slots__} | given
        yield Addresses(**given)
