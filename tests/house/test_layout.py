"""The house: where things lie, and that the lists which name them agree."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = ("schemas", "core", "producers", "projector", "archiver", "replay", "gateway", "local", "cli")
LONGEST_MODULE = 350


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def modules() -> list[Path]:
    return [path for root in SOURCE_ROOTS for path in (ROOT / root).rglob("*.py")]


def test_the_lists_of_source_roots_agree() -> None:
    tool = project()["tool"]
    build = tool["hatch"]["build"]["targets"]["wheel"]
    assert build["packages"] == [f"{root}/everlog" for root in SOURCE_ROOTS]
    assert build["dev-mode-dirs"] == list(SOURCE_ROOTS)
    assert tool["mypy"]["mypy_path"].split(":") == [*SOURCE_ROOTS, "tests"]
    assert tool["ruff"]["src"] == [*SOURCE_ROOTS, "tests"]
    sources = re.search(r"^SOURCES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sources is not None
    assert sources.group(1).split() == [*SOURCE_ROOTS, "tests"]


def test_no_root_hides_the_others_with_a_package_of_its_own() -> None:
    assert [root for root in SOURCE_ROOTS if (ROOT / root / "everlog" / "__init__.py").exists()] == []


def test_every_room_is_typed() -> None:
    rooms = [room for root in SOURCE_ROOTS for room in (ROOT / root / "everlog").iterdir() if room.name[0] != "_"]
    assert [room.name for room in rooms if not (room / "py.typed").exists()] == []


def test_the_domain_waits_for_nothing() -> None:
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    found = [
        path.name
        for path in (ROOT / "core/everlog/domain").rglob("*.py")
        if any(isinstance(node, waiting) for node in ast.walk(ast.parse(path.read_text())))
    ]
    assert found == []


def test_no_module_is_so_long_that_a_name_must_be_missing() -> None:
    lengths = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in modules()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "manager", "misc"])
def test_no_module_has_a_name_that_says_nothing(name: str) -> None:
    assert [path for path in modules() if path.stem == name] == []


def test_the_project_names_no_path_of_a_machine_and_leaves_nothing_to_do() -> None:
    found = []
    for path in tracked():
        if path == Path(__file__) or path.suffix in {".lock", ".parquet", ".zst"}:
            continue
        text = path.read_text(errors="replace")
        found += [
            f"{path.relative_to(ROOT)}: {match.group()}"
            for match in re.finditer(r"(?<![\w.])/(?:work|root|home)/\w+|\.\./shared|\b(?:TODO|FIXME|XXX)\b", text)
        ]
    assert found == []


@pytest.mark.parametrize("name", ["requirements.lock", "benchmarks/requirements.lock"])
def test_a_lock_names_packages_and_hashes_only(name: str) -> None:
    lock = (ROOT / name).read_text()
    assert "://" not in lock
    assert "--hash=sha256:" in lock


def test_every_extra_of_all_is_a_real_one() -> None:
    extras = project()["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    names = everything.removeprefix("everlog[").removesuffix("]").split(",")
    assert set(names) <= set(extras)


def test_compose_runs_the_same_services_as_one_machine_does() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert set(compose["services"]) == {
        "kafka", "redis", "mongo", "s3", "init", "gateway", "projector", "archiver",
    }  # fmt: skip


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    declared = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert declared is not None
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in shown.splitlines()} == set(declared.group(1).split())
