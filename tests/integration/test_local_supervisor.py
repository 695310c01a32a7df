"""Services in the background: started once, added to, mended, shown, and ended as a whole."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from everlog.local import readiness, supervisor
from everlog.local.layout import Layout
from everlog.local.ports import Ports, is_free
from everlog.local.settings import LocalSettings
from everlog.local.spec import ExtraService, Phase, ServiceState, Spec, State
from everlog.schemas.errors import ConfigurationError, UnavailableError
from support.waiting import wait_for

pytestmark = pytest.mark.integration

DEADLINE_S = 60.0
WEB_SERVER = ("-m", "http.server", "--bind", "127.0.0.1")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    supervisor.down(tmp_path)


def spec(ports: Ports, **fields: object) -> Spec:
    return Spec.model_validate({"ports": ports, "settings": LocalSettings(), "services": ("redis",), **fields})


def python(name: str, *arguments: str, ready_url: str | None = None) -> ExtraService:
    return ExtraService(name=name, argv=(sys.executable, *arguments), ready_url=ready_url)


def web(ports: Ports) -> ExtraService:
    url = f"http://127.0.0.1:{ports.gateway}/"
    return python("gateway", *WEB_SERVER, str(ports.gateway), ready_url=url)


def now(directory: Path) -> State:
    state = supervisor.status(directory)
    assert state is not None
    return state


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pid_of(service: ServiceState) -> int:
    assert service.pid is not None
    return service.pid


def test_up_starts_status_shows_a_second_up_finds_and_down_ends(directory: Path) -> None:
    ports, progress = Ports.free(), list[State]()
    state = supervisor.up(directory, spec(ports), progress.append)
    readiness.redis(state.addresses.redis)
    assert progress[0].services["redis"].state is Phase.STARTING
    assert state.services["redis"].state is Phase.READY
    assert "Ready to accept connections" in state.services["redis"].log.read_text()
    again = supervisor.up(directory, spec(Ports.free()))
    assert again.services == state.services
    assert again.addresses == state.addresses
    assert supervisor.down(directory)
    assert supervisor.status(directory) is None
    assert not is_alive(pid_of(state.services["redis"]))
    assert not is_alive(state.pid)
    assert all(map(is_free, ports.all()))
    assert not (directory / "tmp").exists()
    assert not supervisor.down(directory)


def test_a_second_up_adds_services_after_their_set_up_has_succeeded(directory: Path) -> None:
    ports = Ports.free()
    first = supervisor.up(directory, spec(ports))
    marker = directory / "initialised"
    code = f"import pathlib; pathlib.Path({str(marker)!r}).touch()"
    state = supervisor.up(directory, spec(ports, initialise=python("init", "-c", code), extras=(web(ports),)))
    assert marker.exists()
    assert state.services["gateway"].state is Phase.READY
    assert state.services["redis"].pid == first.services["redis"].pid


def test_services_whose_set_up_fails_do_not_start_and_its_log_is_shown(directory: Path) -> None:
    ports = Ports.free()
    broken = python("init", "-c", "raise SystemExit('no bucket for you')")
    with pytest.raises(UnavailableError, match="no bucket for you"):
        supervisor.up(directory, spec(ports, initialise=broken, extras=(web(ports),)))
    state = now(directory)
    assert state.services["redis"].state is Phase.READY
    assert state.services["gateway"].state is Phase.FAILED
    mended = supervisor.up(directory, spec(ports, initialise=python("init", "-c", ""), extras=(web(ports),)))
    assert mended.services["gateway"].state is Phase.READY


def test_a_killed_service_is_started_again(directory: Path) -> None:
    state = supervisor.up(directory, spec(Ports.free()))
    os.kill(pid_of(state.services["redis"]), signal.SIGKILL)
    wait_for(
        lambda: now(directory).services["redis"].restarts == 1, timeout_s=DEADLINE_S, what="redis was started again"
    )
    wait_for(lambda: now(directory).services["redis"].state is Phase.READY, timeout_s=DEADLINE_S, what="redis is ready")
    readiness.redis(state.addresses.redis)


def test_a_service_that_dies_again_and_again_is_given_up(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dying = python("archiver", "-c", "import sys; sys.exit('cannot go on')", ready_url="http://127.0.0.1:9/")
    with pytest.raises(UnavailableError, match=r"archiver: .*exit code 1(.|\n)*cannot go on"):
        supervisor.up(directory, spec(Ports.free(), extras=(dying,)))
    assert now(directory).services["archiver"].restarts == 4


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the signal")
def test_a_killed_supervisor_takes_its_services_with_it_and_the_next_up_starts_anew(directory: Path) -> None:
    ports = Ports.free()
    first = supervisor.up(directory, spec(ports, extras=(web(ports),)))
    os.kill(first.pid, signal.SIGKILL)
    wait_for(
        lambda: not any(is_alive(pid_of(service)) for service in first.services.values()),
        timeout_s=DEADLINE_S,
        what="the services are gone",
    )
    assert supervisor.status(directory) is None
    wait_for(lambda: all(map(is_free, ports.all())), timeout_s=DEADLINE_S, what="the ports are free")
    second = supervisor.up(directory, spec(ports))
    assert second.pid != first.pid
    readiness.redis(second.addresses.redis)


def test_a_port_in_use_is_refused_before_a_supervisor_starts(directory: Path, tmp_path_factory: object) -> None:
    ports = Ports.free()
    supervisor.up(directory, spec(ports))
    other = directory / "other"
    with pytest.raises(ConfigurationError, match=f"port {ports.redis} \\(redis of redis\\)"):
        supervisor.up(other, spec(ports))
    assert supervisor.status(other) is None
    assert not Layout(other).spec.exists()
