"""One child process: its own session, its log file, an end with a deadline, and death together with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

# A log is moved aside at a start once it is this large, so that two files bound what a service can fill.
LOG_ROTATE_BYTES = 16 * 1024 * 1024
LOG_TAIL_LINES = 15
# A killed process is gone within milliseconds; longer means that it is stuck in the kernel.
_KILL_TIMEOUT_S = 10.0

# The kernel ties the death signal to the *thread* that forked: children started from a short-lived worker thread
# would be killed when that thread ends. This one lives as long as the process.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="everlog-spawner")


@dataclass(frozen=True, slots=True)
class Command:
    """What to run.

    ``environment`` is added to this process's own; ``stop_timeout_s`` is the time between TERM and KILL; ``leftovers``
    are files outside its folders that the program forgets when it is killed.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_timeout_s: float = 10.0
    leftovers: tuple[Path, ...] = ()


class Child:
    """A running process. Every method may be called from any thread."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._ending = threading.Lock()
        rotate(command.log)
        self._process = _spawner.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.command.log.open("ab") as log:
            return subprocess.Popen(
                dying_with_parent(self.command.argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.command.directory,
                env={**os.environ, **self.command.environment},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, which is also that of its group and session."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended within ``timeout_s``."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """TERM to the whole group, KILL after the command's deadline; returns when it is gone. Idempotent."""
        with self._ending:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # a paused process takes no other signal
            if not self.wait(self.command.stop_timeout_s):
                self.signal(signal.SIGKILL)
            self._bury()

    def kill(self) -> None:
        """KILL to the whole group; returns when the process is gone. Idempotent."""
        self.signal(signal.SIGKILL)
        self._bury()

    def _bury(self) -> None:
        self.wait(_KILL_TIMEOUT_S)
        for leftover in self.command.leftovers:
            leftover.unlink(missing_ok=True)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the group; nothing happens when it has ended."""
        if self.exit_code is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:  # ended in between
                return


def dying_with_parent(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command line of a child that never outlives this process.

    Only Linux can promise it; elsewhere a child outlives a parent that was killed with KILL.
    """
    if sys.platform != "linux":
        return argv
    script = Path(__file__).with_name("with_parent.py")
    return (sys.executable, "-I", "-S", str(script), str(os.getpid()), *argv)


def rotate(log: Path) -> None:
    """Move a log aside that has grown past ``LOG_ROTATE_BYTES``."""
    if log.exists() and log.stat().st_size > LOG_ROTATE_BYTES:
        log.replace(log.with_suffix(".old.log"))


def tail(log: Path) -> str:
    """The last lines of a log, for an error message."""
    if not log.exists():
        return ""
    with log.open(errors="replace") as lines:
        return "".join(deque(lines, maxlen=LOG_TAIL_LINES))
