"""Real projector workers as processes, and their supervisor: who ends is started again, after a growing pause."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from chaos.schedule import WORKERS, worker_name
from everlog.local.process import Child, Command
from everlog.projector.ports import ResumeError
from everlog.schemas.errors import UnavailableError

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 2.0
"""As a supervisor of containers would wait, only shorter: a run is short."""
HEALTHY_AFTER_S: Final = 10.0
"""Who ran this long begins with the first pause again."""
POLL_S: Final = 0.05
STOP_TIMEOUT_S: Final = 25.0
"""The worker's own watchdog ends it before."""
EXPECTED_EXITS: Final = frozenset(
    {0, -signal.SIGKILL, -signal.SIGTERM, UnavailableError.exit_code, ResumeError.exit_code}
)
"""After SIGTERM, also one that came before it could be handled; KILL; a store that stays away; views that move."""


class Worker:
    """One place for a worker; ``wanted`` says whether one should run there."""

    def __init__(self, name: str, environment: Mapping[str, str], directory: Path) -> None:
        argv = (sys.executable, "-P", "-m", "everlog.cli", "projector")
        self.log = directory / f"{name}.log"
        self._command = Command(name, argv, self.log, directory, environment, STOP_TIMEOUT_S)
        self._child: Child | None = None
        self._started_s = 0.0
        self._frozen = 0
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._pause_s = FIRST_PAUSE_S
        self._not_before_s = 0.0
        self.wanted = False
        self.exits: list[int] = []
        """How it ended each time; negative is a signal."""

    def look(self) -> None:
        """Start it where it should run and does not."""
        now_s = time.monotonic()
        if self._child is not None and self._child.exit_code is not None:
            self.exits.append(self._child.exit_code)
            self._child = None
            if now_s - self._started_s > HEALTHY_AFTER_S:
                self._pause_s = FIRST_PAUSE_S
            self._not_before_s = now_s + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        if self.wanted and self._child is None and not self._frozen and now_s >= self._not_before_s:
            self._child, self._started_s = Child(self._command), now_s

    def kill(self) -> None:
        """KILL."""
        if self._child is not None:
            self._child.signal(signal.SIGKILL)

    def freeze(self) -> None:
        """STOP; the n-th ``thaw`` ends n of them."""
        self._frozen += 1
        self._thawed.clear()
        if self._child is not None:
            self._child.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """CONT."""
        self._frozen -= 1
        if not self._frozen:
            self._thawed.set()
            if self._child is not None:
                self._child.signal(signal.SIGCONT)

    async def leave(self) -> None:
        """TERM, and wait until it is gone; KILL after ``STOP_TIMEOUT_S``. Who is frozen is thawed first."""
        self.wanted = False
        await self._thawed.wait()
        child = self._child
        if child is None:
            return
        child.signal(signal.SIGTERM)
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        while child.exit_code is None:
            if time.monotonic() > deadline_s and not self._frozen:
                child.kill()
            await asyncio.sleep(POLL_S)


class Workers:
    """All places, one of them spare."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        names = [worker_name(number) for number in range(WORKERS + 1)]
        self.by_name = {name: Worker(name, environment, directory) for name in names}

    def begin(self) -> None:
        """From now on the usual ones should run."""
        for number in range(WORKERS):
            self.by_name[worker_name(number)].wanted = True

    def unexplained(self) -> list[str]:
        """Workers that ended in a way that no fault explains."""
        return [
            f"{name} ended with {code}"
            for name, worker in self.by_name.items()
            for code in worker.exits
            if code not in EXPECTED_EXITS
        ]

    @asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        """Keep them as they should be; all have left at the end."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            await asyncio.gather(*(worker.leave() for worker in self.by_name.values()))
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """While nobody of them does anything."""
        workers = list(self.by_name.values())
        for worker in workers:
            worker.freeze()
        try:
            yield
        finally:
            for worker in workers:
                worker.thaw()

    async def _watch(self) -> None:
        while True:
            for worker in self.by_name.values():
                worker.look()
            await asyncio.sleep(POLL_S)
