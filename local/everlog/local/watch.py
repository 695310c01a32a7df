"""Keeps services running: starts one, waits for its end, starts it again, and gives up after some failures."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from everlog.local.process import Child
from everlog.local.readiness import not_started
from everlog.local.service import Service
from everlog.local.spec import Phase, ServiceState
from everlog.local.stack import start_service
from everlog.schemas.errors import UnavailableError

# 0.5 + 1 + 2 + 4 s of pauses: what four tries did not mend, a fifth will not.
MAX_FAILURES = 5
FIRST_PAUSE_S = 0.5
# A service that ran this long was well: its next failure is the first again.
HEALTHY_AFTER_S = 60.0
# A command that runs once gets this long.
ONCE_TIMEOUT_S = 180.0
# How fast the end of a service, or of the supervisor, is seen.
_POLL_S = 0.1


class NeededServiceFailedError(UnavailableError):
    """What a service needs has failed for good, so its own start is not tried again."""

    retryable = False


class Unit(ABC):
    """One service with its thread. ``gate`` blocks until its turn has come, and raises when it never will."""

    def __init__(self, service: Service, log: Path, ending: threading.Event, gate: Callable[[], None]) -> None:
        self.service = service
        self._ending = ending
        self._gate = gate
        self._state = ServiceState(state=Phase.STARTING, log=log)
        self._thread = threading.Thread(target=self._run, name=f"watch-{service.name}", daemon=True)

    @property
    def state(self) -> ServiceState:
        """A consistent picture of now."""
        return self._state

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has ended, and with it the process."""
        self._thread.join(timeout_s)

    def _change(self, state: Phase, *, detail: str = "", pid: int | None = None, restarts: int | None = None) -> None:
        kept = self._state.restarts if restarts is None else restarts
        self._state = ServiceState(state=state, log=self._state.log, pid=pid, restarts=kept, detail=detail)

    @abstractmethod
    def _run(self) -> None:
        """The thread's work."""


class Watched(Unit):
    """A service that should run for as long as the supervisor does."""

    def _run(self) -> None:
        failures = 0
        while not self._ending.is_set():
            started = time.monotonic()
            failure = self._live_once()
            if self._ending.is_set():
                break
            failures = 1 if time.monotonic() - started > HEALTHY_AFTER_S else failures + 1
            if failures >= MAX_FAILURES or not getattr(failure, "retryable", True):
                self._change(Phase.FAILED, detail=str(failure))
                return
            self._change(Phase.STARTING, detail=str(failure), restarts=self._state.restarts + 1)
            self._ending.wait(FIRST_PAUSE_S * 2 ** (failures - 1))
        self._change(Phase.STOPPED)

    def _live_once(self) -> Exception:
        """From start to end; returns why it ended."""
        try:
            self._gate()
            child = start_service(self.service, abandoned=self._ending.is_set)
        except Exception as error:  # whatever it is, the other services go on
            return error
        self._change(Phase.READY, pid=child.pid)
        while not child.wait(_POLL_S):
            if self._ending.is_set():
                child.stop()
        return not_started(self.service.name, f"it ended with exit code {child.exit_code}", child)


class Once(Unit):
    """A command that must succeed once, such as creating topics and indexes; ready means that it has."""

    def _run(self) -> None:
        try:
            self._gate()
            self._complete()
        except Exception as error:  # shown in the state; the services that need it fail with it
            self._change(Phase.FAILED, detail=str(error))
        else:
            self._change(Phase.READY, detail="done")

    def _complete(self) -> None:
        child = Child(self.service.command())
        deadline = time.monotonic() + ONCE_TIMEOUT_S
        while not child.wait(_POLL_S):
            if self._ending.is_set() or time.monotonic() > deadline:
                child.stop()
        if child.exit_code != 0:
            raise not_started(self.service.name, f"it ended with exit code {child.exit_code}", child)
