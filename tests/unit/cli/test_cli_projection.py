"""``everlog projection`` refuses what it must not do before it connects to anything."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from everlog.cli.main import app
from everlog.schemas.errors import UsageError


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["redrive"], "name sessions, or say --all"),
        (["redrive", "rome", "--all"], "name sessions, or say --all"),
        (["redrive", "rome"], "needs --yes"),
        (["redrive", "--all"], "needs --yes"),
        (["repair", "rome"], "needs --yes"),
    ],
)
def test_what_is_not_said_clearly_is_refused(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["projection", *arguments])
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)


def test_the_group_offers_only_what_exists() -> None:
    result = CliRunner().invoke(app, ["projection", "--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in ("list", "parked", "redrive", "repair"))
    assert "rebuild" not in result.output
