"""Mutation tests of the law: change everlog.domain in one place, run its tests, see whether one of them fails.

    python tools/mutants.py [--processes N] [--least PERCENT] [--only PATTERN]

mutmut writes the mutants: every function becomes all its variants, of which an environment variable chooses one. It
derives a module's name from its path, which our source roots do not fit, so a copy of the law with its tests is laid
out under ``build/mutants`` as it likes it; every other package comes from this environment as it is. The tests are run
by our own loop, because mutmut starts pytest anew for every mutant (3 s each for these tests, measured):

1. Lay out the copy, let mutmut write the mutants.
2. Collect the tests once. Run each, note how long it takes and which functions it reaches.
3. Fork for every mutant: the child runs the tests that reach its function, the fastest first, until one fails.
4. Write the survivors with their changes to ``build/mutants/survivors.diff``, print the figures, fail under the least.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir
from fnmatch import fnmatch
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

import mutmut
import pytest
from _pytest.runner import runtestprotocol
from mutmut import __main__ as engine

ROOT: Final = Path(__file__).parent.parent
STAGE: Final = ROOT / "build" / "mutants"
LEAST_PERCENT: Final = 95.0
"""Killed, of all mutants."""
CPU_LIMIT_FACTOR, CPU_LIMIT_EXTRA_S = 2, 3
"""A mutant that takes so much longer than the tests it runs is caught in a loop: killed."""
MEMORY_BYTES: Final = 4 << 30
"""More than any test needs: a loop that collects is stopped."""

COPIED: Final = {
    "core/everlog/domain": "src/everlog/domain",
    "tests/unit/domain": "tests/unit/domain",
    "tests/support": "tests/support",
}
LEFT_OUT: Final = ("__pycache__", "test_law_page.py")
"""A test of the documentation reads pages that are not copied."""
PYTEST: Final = (
    *("tests/unit/domain", "--import-mode=importlib", "--hypothesis-profile=mutants", "-s", "-o", "addopts="),
    *("-p", "no:cacheprovider", "-p", "no:terminal", "-k", "not every_process"),  # a process of its own is no mutant
)


def lay_out() -> None:
    """Copy the law and its tests, let mutmut write the mutants beside them."""
    shutil.rmtree(STAGE, ignore_errors=True)
    for source, target in COPIED.items():
        shutil.copytree(ROOT / source, STAGE / target, ignore=shutil.ignore_patterns(*LEFT_OUT))
    shutil.copy(ROOT / "pyproject.toml", STAGE)
    with chdir(STAGE):
        os.environ["MUTANT_UNDER_TEST"] = "mutant_generation"
        engine.copy_src_dir()
        engine.copy_also_copy_files()
        engine.setup_source_paths()
        with engine.CatchOutput(spinner_title="Writing mutants"):
            engine.create_mutants(1)
        sys.stdout.write("\n")


def written(pattern: str) -> list[str]:
    """The names of the mutants."""
    with chdir(STAGE):
        found, _ = engine.collect_source_file_mutation_data(mutant_names=())
    return [name for _, name, _ in found if fnmatch(name, pattern)]


def passes(item: pytest.Item) -> bool:
    """Whether a test passes."""
    return all(report.outcome != "failed" for report in runtestprotocol(item, nextitem=None, log=False))


class Hunt:
    """Takes the place of pytest's loop over the tests."""

    def __init__(self, mutants: list[str], processes: int) -> None:
        self.mutants, self.processes = mutants, processes
        self.killed: dict[str, bool] = {}
        self._seconds: dict[pytest.Item, float] = {}
        self._reached: dict[str, list[pytest.Item]] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Steps 2 and 3."""
        self._run_all(session.items)
        running: dict[int, str] = {}
        for name in self.mutants:
            if len(running) >= self.processes:
                self._wait(running)
            running[self._fork(name)] = name
        while running:
            self._wait(running)
        return True

    def _run_all(self, items: list[pytest.Item]) -> None:
        os.environ["MUTANT_UNDER_TEST"] = "stats"
        for item in items:
            mutmut._stats.clear()
            begin = perf_counter()
            if not passes(item):
                pytest.exit(f"{item.nodeid} fails without any mutant", returncode=1)
            self._seconds[item] = perf_counter() - begin
            for function in mutmut._stats:
                self._reached.setdefault(function, []).append(item)

    def _fork(self, name: str) -> int:
        tests = sorted(self._reached.get(engine.mangled_name_from_mutant_name(name), ()), key=self._seconds.__getitem__)
        child = os.fork()
        if child == 0:
            os.environ["MUTANT_UNDER_TEST"] = name
            expected_s = sum(self._seconds[item] for item in tests)
            limit_s = int(process_time() + expected_s * CPU_LIMIT_FACTOR + CPU_LIMIT_EXTRA_S)
            resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 1))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            os._exit(0 if all(passes(item) for item in tests) else 1)
        return child

    def _wait(self, running: dict[int, str]) -> None:
        child, status = os.wait()
        name = running.pop(child)
        self.killed[name] = status != 0
        if not self.killed[name]:
            sys.stdout.write(f"{len(self.killed)} of {len(self.mutants)} tried; this one survives: {name}\n")
            sys.stdout.flush()


def survivors(killed: dict[str, bool]) -> Iterator[str]:
    """Each survivor's name and change."""
    with chdir(STAGE):
        for name, is_killed in sorted(killed.items()):
            if not is_killed:
                yield f"# {name}\n{engine.get_diff_for_mutant(name)}\n"


def summarise(killed: dict[str, bool], least_percent: float) -> int:
    """Write the survivors, print the figures; the exit code."""
    found = STAGE / "survivors.diff"
    found.write_text("\n".join(survivors(killed)))
    modules = Counter(name.rpartition(".")[0] for name in killed)
    dead = Counter(name.rpartition(".")[0] for name, is_killed in killed.items() if is_killed)
    for module, total in sorted(modules.items()):
        sys.stdout.write(f"{dead[module]:5d} of {total:4d} killed  {module}\n")
    percent = 100 * dead.total() / max(1, len(killed))
    sys.stdout.write(f"{percent:.1f} % of {len(killed)} mutants killed; survivors: {found.relative_to(ROOT)}\n")
    return 0 if killed and percent >= least_percent else 1


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(description="Mutation tests of the law")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--least", type=float, default=LEAST_PERCENT, help="percent that must be killed")
    parser.add_argument("--only", default="*", help="names of mutants, such as 'everlog.domain.ring.*'")
    arguments = parser.parse_args()
    lay_out()
    hunt = Hunt(written(arguments.only), arguments.processes)
    with chdir(STAGE / "mutants"):
        code = int(pytest.main([*PYTEST], plugins=[hunt]))
    return code or summarise(hunt.killed, arguments.least)


if __name__ == "__main__":
    sys.exit(main())
