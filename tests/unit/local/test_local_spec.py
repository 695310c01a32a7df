"""Specs and states: what joins, what survives the file, who may read it."""

from __future__ import annotations

from pathlib import Path

from everlog.local import supervisor
from everlog.local.layout import Layout, open_layout
from everlog.local.ports import Ports
from everlog.local.settings import LocalSettings
from everlog.local.spec import ExtraService, Phase, ServiceState, Spec, State, read_spec, read_state, write
from everlog.local.stack import Addresses

ADDRESSES = Addresses("127.0.0.1:1", "redis://127.0.0.1:2/0", "mongodb://127.0.0.1:3", "http://127.0.0.1:4", "a", "s")


def spec(base: int = 19090, **fields: object) -> Spec:
    return Spec.model_validate({"ports": Ports.fixed(base), "settings": LocalSettings(port_base=base), **fields})


def extra(name: str, *argv: str) -> ExtraService:
    return ExtraService(name=name, argv=argv or ("/bin/true",))


def state(**services: Phase) -> State:
    return State(
        pid=1,
        revision=1,
        ports=Ports.fixed(19090),
        addresses=ADDRESSES,
        services={name: ServiceState(state=phase, log=Path("log")) for name, phase in services.items()},
    )


def test_a_spec_survives_its_file(tmp_path: Path) -> None:
    layout = open_layout(tmp_path)
    written = spec(initialise=extra("init"), extras=(extra("gateway", "/bin/everlog", "gateway"),))
    write(layout.spec, written)
    assert read_spec(layout) == written
    assert layout.spec.stat().st_mode & 0o777 == 0o600


def test_a_state_survives_its_file(tmp_path: Path) -> None:
    layout = open_layout(tmp_path)
    write(layout.state, state(kafka=Phase.READY, redis=Phase.FAILED))
    assert read_state(layout) == state(kafka=Phase.READY, redis=Phase.FAILED)


def test_a_file_of_another_release_is_none(tmp_path: Path) -> None:
    layout = open_layout(tmp_path)
    layout.state.write_text('{"version": 99}')
    assert read_state(layout) is None
    assert read_spec(layout) is None


def test_joining_adds_services_and_keeps_ports_that_are_in_use() -> None:
    running = spec(19090, services=("kafka",))
    joined = running.joined(spec(29090, services=("s3", "redis"), extras=(extra("gateway"),), initialise=extra("init")))
    assert joined.ports == running.ports
    assert joined.services == ("kafka", "redis", "s3")
    assert joined.names == ("kafka", "redis", "s3", "gateway")
    assert joined.initialise == extra("init")
    assert joined.revision == running.revision + 1


def test_joining_without_extras_keeps_those_that_run() -> None:
    running = spec(extras=(extra("gateway"),), initialise=extra("init"))
    assert running.joined(spec()).extras == (extra("gateway"),)
    assert running.joined(spec()).initialise == extra("init")


def test_a_state_is_settled_when_nothing_starts_any_more() -> None:
    assert not state(kafka=Phase.READY, redis=Phase.STARTING).settled
    assert state(kafka=Phase.READY, redis=Phase.FAILED).settled
    assert list(state(kafka=Phase.READY, redis=Phase.FAILED).failed) == ["redis"]


def test_a_directory_without_a_supervisor_has_no_status_and_nothing_to_end(tmp_path: Path) -> None:
    assert supervisor.status(tmp_path) is None
    assert supervisor.status(tmp_path / "missing") is None
    assert not supervisor.down(tmp_path)
    assert not supervisor.down(tmp_path / "missing")


def test_a_state_that_a_killed_supervisor_left_is_not_shown(tmp_path: Path) -> None:
    layout = open_layout(tmp_path)
    write(layout.state, state(kafka=Phase.READY))
    layout.lock.write_text("1")
    assert supervisor.status(tmp_path) is None
    assert not supervisor.is_running(Layout(tmp_path))
