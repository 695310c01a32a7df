"""Ports: fixed, free, and refused before anything starts."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from everlog.local.ports import HOST, Ports, is_free, require_free
from everlog.local.settings import DEFAULT_PORT_BASE
from everlog.schemas.errors import ConfigurationError

USUAL = {2022, 6379, 7333, 8080, 8111, 8181, 8333, 8888, 9092, 9093, 9101, 9333, 27017}


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def test_fixed_ports_are_neighbours_from_the_base_on() -> None:
    assert Ports.fixed(19090).all() == tuple(range(19090, 19105))


def test_the_default_ports_are_clear_of_the_usual_ones_and_of_outgoing_connections() -> None:
    ports = set(Ports.fixed(DEFAULT_PORT_BASE).all())
    assert not ports & USUAL
    assert max(ports) < 32_768


def test_free_ports_differ_and_can_be_listened_on() -> None:
    ports = Ports.free(random.Random(7)).all()
    assert len(set(ports)) == len(ports)
    assert all(map(is_free, ports))


def test_a_listening_port_is_not_free(listener: int) -> None:
    assert not is_free(listener)


def test_every_port_belongs_to_exactly_one_service() -> None:
    ports = Ports.fixed(19090)
    owned = [
        port
        for name in ("kafka", "redis", "mongo", "s3", "gateway", "projector", "archiver")
        for port in ports.of(name).values()
    ]
    assert sorted(owned) == list(ports.all())


def test_a_service_without_ports_needs_none() -> None:
    assert Ports.fixed(19090).of("init") == {}


def test_a_busy_port_is_named_with_its_service_and_the_setting_that_moves_it(listener: int) -> None:
    ports = Ports.fixed(listener)
    with pytest.raises(ConfigurationError) as error:
        require_free(ports, ["kafka"])
    assert f"port {listener} (kafka of kafka)" in str(error.value)
    assert "EVERLOG_LOCAL__PORT_BASE" in str(error.value)


def test_a_busy_port_of_a_service_that_does_not_start_is_no_obstacle(listener: int) -> None:
    require_free(Ports.fixed(listener), ["archiver"])
