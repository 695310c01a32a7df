"""The page that explains the law: its logs are folded, and have the verdicts that it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from everlog.domain.law import LAW
from everlog.domain.state import State
from everlog.domain.verdicts import Accepted, Duplicate, Verdict
from support.events import event

PAGE = (Path(__file__).parents[3] / "docs/explanation/the-law.md").read_text(encoding="utf-8")
LOGS = re.findall(r"^```law\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LINE = re.compile(
    r"(?P<actor>\w+) +(?P<type>[\w.]+)  (?P<data>\{.*\})(?P<attributes>(?: \w+=\w+)*) +-> (?P<verdict>.*)"
)


def attributes(text: str) -> dict[str, Any]:
    pairs = [pair.split("=") for pair in text.split()]
    return {name: int(value) if value.isdigit() else value for name, value in pairs}


def said(verdict: Verdict) -> str:
    match verdict:
        case Accepted(version):
            return f"accepted, version {version}"
        case Duplicate(first):
            return f"duplicate of {said(first)}"
        case _:
            detail = f": {', '.join(verdict.detail)}" if verdict.detail else ""
            return f"{verdict.reason.text} at version {verdict.version}{detail}"


def test_the_page_has_a_conflict_a_zombie_and_a_retry() -> None:
    assert len(LOGS) == 3


@pytest.mark.parametrize("log", LOGS, ids=["conflict", "zombie", "retry"])
def test_every_verdict_on_the_page_is_the_law_s(log: str) -> None:
    state: State | None = None
    for line in log.splitlines():
        found = LINE.fullmatch(line)
        assert found is not None, line
        given = attributes(found["attributes"])
        state, verdict = LAW.step(state, event(found["type"], json.loads(found["data"]), actor=found["actor"], **given))
        assert said(verdict) == found["verdict"], line
