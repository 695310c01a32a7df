"""The examples of the pages run: against the gateway on a socket, or against the double that they make themselves."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from support.door import token
from support.listening import listening

ROOT = Path(__file__).parents[3]
PAGES = ("docs/how-to/write-an-agent.md", "docs/how-to/test-an-agent.md", "README.md")
ADDRESS = "http://127.0.0.1:8080"


def examples(page: str) -> list[tuple[int, str]]:
    """(line, code) of a page's Python."""
    whole = (ROOT / page).read_text()
    blocks = re.finditer(r"^```python\n(.*?)^```$", whole, re.MULTILINE | re.DOTALL)
    return [(whole.count("\n", 0, found.start(1)) + 1, found[1]) for found in blocks]


@pytest.mark.parametrize("page", PAGES)
async def test_the_examples_of_a_page_run_one_after_the_other(page: str, tmp_path: Path) -> None:
    found = examples(page)
    assert found
    async with listening() as gateway:
        names: dict[str, Any] = {"token": token(), "spool_path": tmp_path / "spool.db", "__name__": "example"}
        for line, code in found:
            lined_up = "\n" * (line - 1) + code.replace(ADDRESS, gateway.url)
            compiled = compile(lined_up, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            running = eval(compiled, names)
            if inspect.isawaitable(running):
                await running
