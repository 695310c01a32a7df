"""The supervisor's own process: ``python -m everlog.local.daemon --directory D``.

It leaves the terminal that started it, holds the lock of its data directory, runs what ``spec.json`` says, writes
what there is to ``state.json``, and follows a newer spec by adding what is missing. TERM ends everything in order:
first the services that use the stores, then the stores. If it is killed, the kernel kills its children.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import IO

from everlog.local.command_service import CommandService
from everlog.local.layout import Layout
from everlog.local.service import Place
from everlog.local.spec import ExtraService, Phase, Spec, State, read_spec, write
from everlog.local.stack import addresses, build
from everlog.local.watch import NeededServiceFailedError, Once, Unit, Watched

# How fast a changed spec and a changed service are seen.
_POLL_S = 0.1
# Somebody who asks whether a supervisor runs holds the lock for a moment.
_LOCK_TIMEOUT_S = 3.0
# Longer than any service's own time between TERM and KILL; after it the process ends, and so do its children.
_JOIN_TIMEOUT_S = 30.0


class Supervisor:
    """Runs a spec. Only the main thread touches it; every unit has a thread of its own."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._ending = threading.Event()
        self._stores_ending, self._extras_ending = threading.Event(), threading.Event()
        self._stores: dict[str, Unit] = {}
        self._once: dict[str, Unit] = {}
        self._extras: dict[str, Unit] = {}
        self._spec: Spec | None = None
        self._written: State | None = None

    def end(self, *_: object) -> None:
        """Ask for the end; safe in a signal handler."""
        self._ending.set()

    def run(self) -> None:
        """Follow the spec until the end is asked for; returns when nothing runs any more."""
        while not self._ending.wait(_POLL_S):
            self._follow()
            self._report()
        for event, units in (
            (self._extras_ending, [*self._extras.values(), *self._once.values()]),
            (self._stores_ending, list(self._stores.values())),
        ):
            event.set()
            self._join(units)
        self._layout.clear_temporary()
        self._report()

    def _join(self, units: Iterable[Unit]) -> None:
        deadline = time.monotonic() + _JOIN_TIMEOUT_S
        for unit in units:
            unit.join(max(0.0, deadline - time.monotonic()))

    def _follow(self) -> None:
        """Start what a new spec asks for and is neither running nor starting."""
        spec = read_spec(self._layout)
        if spec is None or (self._spec and spec.revision <= self._spec.revision):
            return
        self._spec = spec
        place = Place(self._layout, spec.ports, spec.settings)
        for name, service in build(place, spec.services).items():
            log = self._layout.log(name)
            self._add(self._stores, name, partial(Watched, service, log, self._stores_ending, _open))
        if spec.initialise:
            self._add_command(self._once, spec.initialise, Once, self._stores_ready)
        for extra in spec.extras:
            self._add_command(self._extras, extra, Watched, self._all_ready)

    def _add_command(
        self, units: dict[str, Unit], extra: ExtraService, kind: type[Unit], gate: Callable[[], None]
    ) -> None:
        service = CommandService(extra, self._layout)
        self._add(units, extra.name, partial(kind, service, service.log, self._extras_ending, gate))

    @staticmethod
    def _add(units: dict[str, Unit], name: str, make: Callable[[], Unit]) -> None:
        if name not in units or units[name].state.state is Phase.FAILED:
            units[name] = make()
            units[name].start()

    def _stores_ready(self) -> None:
        self._await(self._stores)

    def _all_ready(self) -> None:
        self._await({**self._stores, **self._once})

    def _await(self, needed: dict[str, Unit]) -> None:
        """Block until all of them are ready.

        Raises:
            NeededServiceFailedError: one has failed, or the supervisor ends.
        """
        while not all(unit.state.state is Phase.READY for unit in needed.values()):
            failed = [name for name, unit in needed.items() if unit.state.state is Phase.FAILED]
            if failed or self._extras_ending.wait(_POLL_S):
                raise NeededServiceFailedError(", ".join(failed) or "the supervisor", "it is needed, and does not run")

    def _report(self) -> None:
        """Write the state if it has changed; a full disk must not end the supervisor."""
        if self._spec is None:
            return
        units = {**self._stores, **self._once, **self._extras}
        state = State(
            pid=os.getpid(),
            revision=self._spec.revision,
            ports=self._spec.ports,
            addresses=addresses(self._layout, self._spec.ports),
            services={name: unit.state for name, unit in units.items()},
        )
        if state != self._written:
            try:
                write(self._layout.state, state)
            except OSError as error:
                sys.stderr.write(f"state.json cannot be written: {error}\n")
            else:
                self._written = state


def _open() -> None:
    """The gate of what needs nothing else."""


def take_lock(layout: Layout) -> IO[str] | None:
    """The directory's lock with our process id in it, for as long as the file is open; None if another has it."""
    lock = layout.lock.open("a+")
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                lock.close()
                return None
            time.sleep(_POLL_S)
        else:
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            return lock


def leave_terminal() -> None:
    """Become a process of its own session, with nobody to wait for it."""
    if os.fork():
        os._exit(0)
    os.setsid()


def main() -> int:
    """Run until TERM."""
    parser = argparse.ArgumentParser(prog="everlog.local.daemon")
    parser.add_argument("--directory", type=Path, required=True)
    layout = Layout(parser.parse_args().directory)
    leave_terminal()
    lock = take_lock(layout)
    if lock is None:
        return 0  # another supervisor runs this directory: it follows the same spec
    with lock:
        supervisor = Supervisor(layout)
        signal.signal(signal.SIGTERM, supervisor.end)
        signal.signal(signal.SIGINT, supervisor.end)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        supervisor.run()
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # a thread that is still in a download must not hold the end; the kernel ends its children
