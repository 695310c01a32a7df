"""The page of deliberate breaks tells of every one that ``make breaks`` tries."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_has_a_row_for_every_break_and_no_other() -> None:
    breaks = tomllib.loads((ROOT / "tools" / "breaks.toml").read_text())["break"]
    page = (ROOT / "docs" / "reference" / "breaks.md").read_text()
    assert re.findall(r"^\| (.+?) \| (.+?) \| `", page, re.MULTILINE) == [(one["name"], one["what"]) for one in breaks]


def test_the_tests_that_must_notice_exist() -> None:
    page = (ROOT / "docs" / "reference" / "breaks.md").read_text()
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in re.findall(r"`(test_\w+)` \|$", page, re.MULTILINE) if f"def {name}(" not in tests] == []
