"""Deliberate breaks: take one safeguard of the projector after the other away, and see whether a fast test notices.

    python tools/breaks.py [--only NAME] [--write]

1. Copy the sources and tests to ``build/breaks``. Every test file that ``breaks.toml`` names must pass there, unbroken.
2. For each break replace its texts in the copy (each must stand there exactly once), run its tests until one fails, put
   the files back.
3. Print who noticed; ``--write`` the table of docs/reference/breaks.md. Fails where nobody noticed, where a text is no
   longer found, or where a test run ends otherwise than with a failed test.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent
STAGE: Final = ROOT / "build" / "breaks"
LIST: Final = Path(__file__).with_suffix(".toml")
PAGE: Final = ROOT / "docs" / "reference" / "breaks.md"
TIMEOUT_S: Final = 300.0
"""For the tests of one break: ten times what they take; one that hangs has noticed nothing."""
FAILED: Final = 1
"""What pytest ends with when tests ran and some failed."""


class Edit(NamedTuple):
    """A text of a file that another one takes the place of."""

    file: str
    old: str
    new: str


class Break(NamedTuple):
    """A safeguard that is taken away, and the test files one of which must notice."""

    name: str
    what: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def all_breaks() -> list[Break]:
    """The breaks of ``LIST``."""
    return [
        Break(one["name"], one["what"], tuple(Edit(**edit) for edit in one["edits"]), tuple(one["tests"]))
        for one in tomllib.loads(LIST.read_text())["break"]
    ]


def lay_out() -> list[str]:
    """Copy what is needed; returns the roots of the sources in the copy."""
    shutil.rmtree(STAGE, ignore_errors=True)
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    roots: list[str] = wheel["dev-mode-dirs"]
    for name in (*roots, "tests"):
        shutil.copytree(ROOT / name, STAGE / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", STAGE)
    return [str(STAGE / root) for root in roots]


def run(arguments: list[str], roots: list[str]) -> subprocess.CompletedProcess[str]:
    """Run Python on the copy: its roots come before those of the editable installation."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=STAGE, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
    )


def tested(tests: tuple[str, ...], roots: list[str]) -> subprocess.CompletedProcess[str]:
    """Run test files until a test fails."""
    options = ["-x", "-q", "-rf", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]
    return run(["-m", "pytest", *options, *tests], roots)


def broken(one: Break) -> dict[Path, str]:
    """Apply a break to the copy; returns what the files were. Raises ``ValueError`` where a text is not there once."""
    before: dict[Path, str] = {}
    try:
        for edit in one.edits:
            path = STAGE / edit.file
            text = path.read_text()
            if (found := text.count(edit.old)) != 1:
                raise ValueError(f"{one.name}: a text stands {found} times in {edit.file}, not once:\n{edit.old}")
            before.setdefault(path, text)
            path.write_text(text.replace(edit.old, edit.new))
    except ValueError:
        mended(before)
        raise
    return before


def mended(before: dict[Path, str]) -> None:
    """Put files back."""
    for path, text in before.items():
        path.write_text(text)


def noticed(one: Break, roots: list[str]) -> str | None:
    """The first test that fails under a break; None if none does."""
    before = broken(one)
    try:
        done = tested(one.tests, roots)
    finally:
        mended(before)
    failed = re.search(r"^FAILED \S+::(\w+)", done.stdout, re.MULTILINE)
    if done.returncode == FAILED and failed is not None:
        return failed[1]
    if done.returncode != 0:
        sys.stdout.write(done.stdout[-2_000:])
    return None


def check_unbroken(breaks: list[Break], roots: list[str]) -> None:
    """Raises ``ValueError`` if a text is not found, or the copy is not what is tested or does not pass."""
    for one in breaks:
        mended(broken(one))
    where = run(["-c", "import everlog.projector.projection as module; print(module.__file__)"], roots).stdout
    if not where.startswith(str(STAGE)):
        raise ValueError(f"the tests would run {where.strip()}, not the copy")
    done = tested(tuple(sorted({test for one in breaks for test in one.tests})), roots)
    if done.returncode != 0:
        raise ValueError(f"the tests fail without any break\n{done.stdout[-2_000:]}")


def table(results: list[tuple[Break, str]]) -> str:
    """The page: which safeguard, what its absence does, which test notices first."""
    rows = [f"| {one.name} | {one.what} | `{test}` |" for one, test in results]
    return "\n".join(
        [
            "# Deliberate breaks of the projector",
            "",
            "Written by `python tools/breaks.py --write`. `make breaks` takes each safeguard of `tools/breaks.toml`",
            "away in a copy of the sources, one after the other, and runs the fast tests that guard it: one must fail.",
            "",
            "| break | what happens then | the first test that notices |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(description="Deliberate breaks of the projector")
    parser.add_argument("--only", default="", help="names that hold this text")
    parser.add_argument("--write", action="store_true", help="write the table of docs/reference/breaks.md")
    arguments = parser.parse_args()
    listed = all_breaks()
    breaks = [one for one in listed if arguments.only in one.name]
    roots = lay_out()
    results: list[tuple[Break, str]] = []
    try:
        check_unbroken(breaks, roots)
        for one in breaks:
            test = noticed(one, roots)
            sys.stdout.write(f"{one.name}: {test or 'NOBODY NOTICES'}\n")
            sys.stdout.flush()
            if test is not None:
                results.append((one, test))
    except ValueError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    if arguments.write and len(results) == len(listed):
        PAGE.write_text(table(results))
    sys.stdout.write(f"{len(results)} of {len(breaks)} breaks noticed\n")
    return 0 if results and len(results) == len(breaks) else 1


if __name__ == "__main__":
    sys.exit(main())
