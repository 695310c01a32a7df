"""The commands on sessions refuse what is not said clearly before they connect to anything."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from everlog.cli.as_client import labels_of
from everlog.cli.main import app
from everlog.schemas.errors import NotFoundError, UsageError


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "a", "--label", "colonless"], "NAME:VALUE"),
        (["search", "--label", ":x"], "NAME:VALUE"),
        (["append", "a"], "either a text or --data"),
        (["append", "a", "x", "--data", "{}"], "either a text or --data"),
        (["append", "a", "--data", "["], "not JSON"),
        (["append", "a", "--data", "[]"], "not a JSON object"),
        (["show", "a", "--at-version", "1", "--min-version", "1"], "exclude each other"),
    ],
)
def test_what_is_not_said_clearly_is_refused(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)


def test_without_a_token_or_a_key_it_says_how_to_get_one() -> None:
    result = CliRunner().invoke(app, ["messages", "a"])
    assert isinstance(result.exception, NotFoundError)
    assert "everlog up" in str(result.exception)


def test_labels_are_split_at_the_first_colon() -> None:
    assert labels_of(["team:support", "link:a:b", "empty:"]) == {"team": "support", "link": "a:b", "empty": ""}


def test_the_version_is_there_at_once() -> None:
    took_s = []
    for _ in range(3):
        began_s = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "everlog.cli", "--version"], capture_output=True, text=True, check=True
        )
        took_s.append(time.perf_counter() - began_s)
    assert done.stdout.startswith("everlog ")
    assert min(took_s) < 0.6


def test_the_sdk_imports_nothing_heavy() -> None:
    heavy = {"msgspec", "aiokafka", "pymongo", "redis", "boto3", "fastapi", "pyarrow", "everlog.domain", "typer"}
    script = f"import sys, everlog.client; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
