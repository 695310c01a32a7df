"""Child processes: logged, ended with a deadline, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from everlog.local import process
from everlog.local.process import Child, Command, rotate, tail
from everlog.local.readiness import wait_until_ready
from everlog.schemas.errors import UnavailableError
from support.waiting import wait_for

DEADLINE_S = 20.0


def python(tmp_path: Path, code: str, *, stop_timeout_s: float = 10.0, leftovers: tuple[Path, ...] = ()) -> Command:
    log = tmp_path / "child.log"
    return Command("child", (sys.executable, "-c", code), log, tmp_path, {"WORD": "hello"}, stop_timeout_s, leftovers)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_output_goes_to_the_log_and_the_environment_is_added(tmp_path: Path) -> None:
    child = Child(python(tmp_path, "import os; print(os.environ['WORD'], bool(os.environ['PATH']))"))
    assert child.wait(DEADLINE_S)
    assert child.exit_code == 0
    assert tail(child.command.log) == "hello True\n"


def test_a_child_leads_its_own_session(tmp_path: Path) -> None:
    child = Child(python(tmp_path, "import time; time.sleep(60)"))
    assert os.getsid(child.pid) == child.pid
    child.stop()
    assert child.exit_code == -signal.SIGTERM


def test_a_child_that_ignores_term_is_killed_after_its_deadline(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    child = Child(python(tmp_path, code, stop_timeout_s=0.2))
    wait_for(lambda: "deaf" in tail(child.command.log), timeout_s=DEADLINE_S, what="the child says that it is deaf")
    child.stop()
    assert child.exit_code == -signal.SIGKILL


def test_a_paused_child_can_be_stopped(tmp_path: Path) -> None:
    child = Child(python(tmp_path, "import time; time.sleep(60)"))
    child.signal(signal.SIGSTOP)
    child.stop()
    assert child.exit_code == -signal.SIGTERM


def test_stopping_twice_is_harmless_and_leftovers_are_gone(tmp_path: Path) -> None:
    leftover = tmp_path / "left.sock"
    leftover.touch()
    child = Child(python(tmp_path, "import time; time.sleep(60)", leftovers=(leftover,)))
    child.stop()
    child.stop()
    child.kill()
    assert not leftover.exists()


def test_a_program_that_is_not_there_ends_at_once_and_says_so(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("elsewhere the system's own error is raised")
    child = Child(Command("child", ("/no/such/program",), tmp_path / "log", tmp_path))
    assert child.wait(DEADLINE_S)
    assert "cannot run /no/such/program" in tail(tmp_path / "log")


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[Child] = []
    thread = threading.Thread(target=lambda: started.append(Child(python(tmp_path, "import time; time.sleep(60)"))))
    thread.start()
    thread.join()
    assert not started[0].wait(0.5)
    started[0].stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the signal")
def test_a_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from everlog.local.process import Child, Command
argv = (sys.executable, "-c", "import time; time.sleep(60)")
child = Child(Command("c", argv, Path({str(tmp_path / "log")!r}), Path("/")))
print(child.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_for(lambda: is_alive(pid), timeout_s=DEADLINE_S, what="the grandchild lives")
        parent.kill()
    wait_for(lambda: not is_alive(pid), timeout_s=DEADLINE_S, what="the grandchild is gone")


def test_a_service_that_ends_before_it_is_ready_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child(python(tmp_path, "print('no such option'); raise SystemExit(3)"))

    def probe() -> None:
        raise ConnectionError

    with pytest.raises(UnavailableError, match=r"exit code 3(.|\n)*no such option(.|\n)*child\.log"):
        wait_until_ready("child", probe, child, DEADLINE_S, lambda: False)


def test_a_service_that_is_not_ready_in_time_is_reported_with_the_last_reason(tmp_path: Path) -> None:
    child = Child(python(tmp_path, "import time; time.sleep(60)"))

    def probe() -> None:
        raise ConnectionRefusedError("nobody listens")

    with pytest.raises(UnavailableError, match="nobody listens"):
        wait_until_ready("child", probe, child, 0.1, lambda: False)
    child.stop()


def test_a_large_log_is_moved_aside_and_a_small_one_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LOG_ROTATE_BYTES", 10)
    log = tmp_path / "service.log"
    log.write_text("small")
    rotate(log)
    assert log.exists()
    log.write_text("large enough to be moved")
    rotate(log)
    assert not log.exists()
    assert (tmp_path / "service.old.log").read_text() == "large enough to be moved"
