"""Generated files are those that the classes make."""

from __future__ import annotations

from pathlib import Path

from everlog.gateway.reference import ROLES_PAGE, roles_page
from everlog.schemas.contracts import PACKAGE_DATA, generated_files

ROOT = Path(__file__).parents[2]


def test_the_generated_files_are_those_that_the_classes_make() -> None:
    files = generated_files() | {ROLES_PAGE: roles_page()}
    stale = [
        name
        for name, text in files.items()
        if not (ROOT / name).exists() or (ROOT / name).read_text(encoding="utf-8") != text
    ]
    assert stale == [], f"run make generate: {', '.join(stale)}"


def test_nothing_lies_beside_the_generated_files() -> None:
    found = {f"{PACKAGE_DATA}/{path.name}" for path in (ROOT / PACKAGE_DATA).iterdir()}
    assert found - set(generated_files()) == set(), "run make generate"


def test_generating_twice_gives_the_same_text() -> None:
    assert generated_files() == generated_files()
