"""The TCP ports of the local services: fixed ones for ``everlog up``, free ones for tests."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

from everlog.schemas.errors import ConfigurationError

HOST = "127.0.0.1"
# Free ports are taken below the range that systems use for outgoing connections, so that no connection of some
# other program takes one between the check and the service's own bind.
_FREE_FROM, _FREE_BELOW = 20_000, 32_000
_TRIES = 2_000


@dataclass(frozen=True, slots=True)
class Ports:
    """One port per listener. ``fixed(base)`` gives them out in this order, ``base`` + 0, + 1, ...

    SeaweedFS would otherwise take each of its ports + 10000 for gRPC. The last three are for the Everlog services,
    which the caller starts.
    """

    kafka: int
    kafka_controller: int
    redis: int
    mongo: int
    s3: int
    s3_grpc: int
    weed_master: int
    weed_master_grpc: int
    weed_volume: int
    weed_volume_grpc: int
    weed_filer: int
    weed_filer_grpc: int
    gateway: int
    projector: int
    archiver: int

    @classmethod
    def fixed(cls, base: int) -> Ports:
        """Neighbouring ports from ``base`` on."""
        return cls(*range(base, base + len(fields(cls))))

    @classmethod
    def free(cls, chance: random.Random | None = None) -> Ports:
        """Ports that nothing listens on now; ``chance`` picks them.

        Raises:
            ConfigurationError: the machine has no free ports in the range.
        """
        chance = chance or random.SystemRandom()
        found: set[int] = set()
        for _ in range(_TRIES):
            candidate = chance.randrange(_FREE_FROM, _FREE_BELOW)
            if candidate not in found and is_free(candidate):
                found.add(candidate)
            if len(found) == len(fields(cls)):
                return cls(*found)
        raise ConfigurationError(f"No {len(fields(cls))} free TCP ports between {_FREE_FROM} and {_FREE_BELOW}")

    def of(self, service: str) -> dict[str, int]:
        """The ports by name that ``service`` listens on."""
        names = _OWNERS.get(service, (service,))
        return {name: getattr(self, name) for name in names if name in self.__slots__}

    def all(self) -> tuple[int, ...]:
        """Every port, in the order of the fields."""
        return astuple(self)


_OWNERS = {
    "kafka": ("kafka", "kafka_controller"),
    "redis": ("redis",),
    "mongo": ("mongo",),
    "s3": tuple(field.name for field in fields(Ports) if field.name.startswith(("s3", "weed"))),
}


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` now; closing connections of an earlier one do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def require_free(ports: Ports, services: Iterable[str]) -> None:
    """Refuse to start on ports that something else holds.

    Raises:
        ConfigurationError: names each busy port, its service and the setting that moves them.
    """
    busy = [
        f"port {port} ({name} of {service})"
        for service in services
        for name, port in ports.of(service).items()
        if not is_free(port)
    ]
    if busy:
        raise ConfigurationError(
            f"In use by another program: {', '.join(busy)}",
            hint="Stop that program, or move all ports of the local services with EVERLOG_LOCAL__PORT_BASE",
        )
