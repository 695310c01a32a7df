"""Services in the background: ``up`` starts them or adds to them, ``status`` says what runs, ``down`` ends them all.

One supervisor process (``everlog.local.daemon``) runs per data directory. It holds a lock on a file there; that lock,
not a process id, says whether it lives.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from everlog.local.layout import Layout, open_layout
from everlog.local.ports import require_free
from everlog.local.process import rotate
from everlog.local.spec import Phase, Spec, State, read_spec, read_state, write
from everlog.schemas.errors import UnavailableError

# The first start downloads 60 MB and may be on a busy machine; every service has its own deadline below this.
UP_TIMEOUT_S = 600.0
# The supervisor ends its services within 60 s, or ends itself; then it is killed.
DOWN_TIMEOUT_S = 75.0
_KILLED_TIMEOUT_S = 10.0
_POLL_S = 0.1


def up(directory: Path, spec: Spec, on_progress: Callable[[State], None] = lambda _: None) -> State:
    """Run everything in ``spec``; what runs already goes on, with the ports that it has.

    ``on_progress`` gets every new state. Returns when all are ready.

    Raises:
        ConfigurationError: a port is taken, or the directory cannot be used; nothing was started.
        UnavailableError: a service failed; the others go on, and another ``up`` tries again.
    """
    layout = open_layout(directory)
    with _exclusively(layout):
        running = is_running(layout)
        if running:
            spec = _joined_with_running(layout, spec)
        else:
            require_free(spec.ports, spec.names)
            layout.state.unlink(missing_ok=True)
        write(layout.spec, spec)
        if not running:
            _launch(layout)
        return _await_settled(layout, spec.revision, on_progress)


def _joined_with_running(layout: Layout, wanted: Spec) -> Spec:
    current, state = read_spec(layout), read_state(layout)
    if current is None or state is None:
        raise UnavailableError(
            "The supervisor", "it was started by another release of Everlog", hint="End it with: everlog down"
        )
    joined = current.joined(wanted)
    alive = {name for name, service in state.services.items() if service.state is not Phase.FAILED}
    require_free(joined.ports, [name for name in joined.names if name not in alive])
    return joined


def down(directory: Path) -> bool:
    """End everything; returns when no process is left. False if nothing ran."""
    layout = Layout(directory.expanduser().absolute())
    if not layout.root.is_dir():
        return False
    with _exclusively(layout):
        if not is_running(layout):
            return False
        _signal(layout, signal.SIGTERM)
        if not _await_end(layout, DOWN_TIMEOUT_S):
            _signal(layout, signal.SIGKILL)
            if not _await_end(layout, _KILLED_TIMEOUT_S):
                raise UnavailableError("The supervisor", f"it does not end, see {layout.log('supervisor')}")
        return True


def status(directory: Path) -> State | None:
    """What runs now; None if no supervisor does."""
    layout = Layout(directory.expanduser().absolute())
    return read_state(layout) if is_running(layout) else None


def is_running(layout: Layout) -> bool:
    """Whether a supervisor holds the directory's lock."""
    try:
        with layout.lock.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def _exclusively(layout: Layout) -> Iterator[None]:
    """One ``up`` or ``down`` at a time; a second one waits."""
    with layout.command_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _launch(layout: Layout) -> None:
    """Start the supervisor; it leaves this process's session and outlives it."""
    log = layout.log("supervisor")
    rotate(log)
    # -P: its working directory, the data directory, must not become a place to import from
    command = (sys.executable, "-P", "-m", "everlog.local.daemon", "--directory", str(layout.root))
    with log.open("ab") as output:
        subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=layout.root, check=False, timeout=30
        )


def _await_settled(layout: Layout, revision: int, on_progress: Callable[[State], None]) -> State:
    deadline = time.monotonic() + UP_TIMEOUT_S
    seen: State | None = None
    while time.monotonic() < deadline:
        state = read_state(layout)
        if state and state.revision >= revision and state != seen:
            seen = state
            on_progress(state)
            if state.settled:
                return _all_ready(state)
        elif not is_running(layout) and time.monotonic() > deadline - UP_TIMEOUT_S + 10:
            break
        time.sleep(_POLL_S)
    raise UnavailableError("The supervisor", "it ended or hangs", hint=f"Its log is {layout.log('supervisor')}")


def _all_ready(state: State) -> State:
    if state.failed:
        reasons = "\n".join(f"{name}: {service.detail}" for name, service in state.failed.items())
        raise UnavailableError(", ".join(state.failed), f"failed to start\n{reasons}")
    return state


def _signal(layout: Layout, number: signal.Signals) -> None:
    try:
        os.kill(int(layout.lock.read_text()), number)
    except (ProcessLookupError, ValueError):  # it ended, or has not written its id yet
        return


def _await_end(layout: Layout, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while is_running(layout):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
