"""The four services in the foreground: for tests, the demo, and as the pieces that the supervisor watches."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from everlog.local import readiness
from everlog.local.kafka import Kafka
from everlog.local.layout import Layout, open_layout
from everlog.local.mongo import Mongo
from everlog.local.ports import HOST, Ports, require_free
from everlog.local.process import Child
from everlog.local.seaweedfs import SeaweedFS, credentials
from everlog.local.service import Place, Service
from everlog.local.settings import LocalSettings
from everlog.local.valkey import Valkey
from everlog.schemas.errors import UsageError

ALL = ("kafka", "redis", "mongo", "s3")
# All four are ready within 10 s on two free cores; a busy machine may need many times that.
START_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where clients connect: ``kafka`` is host:port, the others are URLs."""

    kafka: str
    redis: str
    mongo: str
    s3: str
    s3_access_key: str
    s3_secret_key: str


def addresses(layout: Layout, ports: Ports) -> Addresses:
    """The addresses that services of this directory have on these ports, whether or not they run."""
    pair = credentials(layout)
    return Addresses(
        kafka=f"{HOST}:{ports.kafka}",
        redis=f"redis://{HOST}:{ports.redis}/0",
        mongo=f"mongodb://{HOST}:{ports.mongo}",
        s3=f"http://{HOST}:{ports.s3}",
        s3_access_key=pair.access_key,
        s3_secret_key=pair.secret_key,
    )


def build(place: Place, names: Sequence[str]) -> dict[str, Service]:
    """The services of these names, in the order of ``ALL``."""
    makers: Mapping[str, type[Kafka | Valkey | Mongo | SeaweedFS]]
    makers = {"kafka": Kafka, "redis": Valkey, "mongo": Mongo, "s3": SeaweedFS}
    unknown = set(names) - set(makers)
    if unknown:
        raise UsageError(f"No such local service: {', '.join(sorted(unknown))}", hint=f"There are: {', '.join(ALL)}")
    return {name: makers[name](place) for name in ALL if name in names}


def start_service(service: Service, abandoned: Callable[[], bool] = lambda: False) -> Child:
    """Prepare and run one service, and wait until it is ready; on failure nothing of it is left running.

    ``abandoned`` ends the wait early. Raises ``UnavailableError`` with the end of the service's log.
    """
    service.prepare()
    child = Child(service.command())
    try:
        readiness.wait_until_ready(service.name, service.probe, child, START_TIMEOUT_S, abandoned)
    except BaseException:
        child.kill()
        raise
    return child


class Stack:
    """Real services on one machine, as child processes of this one, with their data below ``directory``."""

    def __init__(
        self,
        directory: Path,
        ports: Ports,
        *,
        services: Sequence[str] = ALL,
        settings: LocalSettings | None = None,
    ) -> None:
        self.layout = open_layout(directory)
        self.ports = ports
        place = Place(self.layout, ports, settings or LocalSettings.load())
        self._services = build(place, services)
        self._children: dict[str, Child] = {}
        self._lock = threading.Lock()

    def start(self) -> Addresses:
        """Start all services side by side and wait until each has answered a real request.

        Raises:
            ConfigurationError: a port is taken, or a program is missing.
            UnavailableError: a service did not start; all others are stopped again.
        """
        require_free(self.ports, self._services)
        with ThreadPoolExecutor(len(self._services)) as pool:
            starts = [pool.submit(self.restart, name) for name in self._services]
        failures = [failure for start in starts if (failure := start.exception())]
        if failures:
            self.stop()
            raise failures[0]
        return addresses(self.layout, self.ports)

    def stop(self) -> None:
        """End all services; no process, port or temporary file is left. May be called again."""
        with self._lock:
            children, self._children = list(self._children.values()), {}
        if children:
            with ThreadPoolExecutor(len(children)) as pool:
                list(pool.map(Child.stop, children))
        self.layout.clear_temporary()

    def kill(self, name: str) -> None:
        """End a service as a power cut would: no signal that it could handle."""
        self._child(name).kill()

    def restart(self, name: str) -> None:
        """Start a service again, ending it first if it runs; returns when it is ready."""
        running = self._children.get(name)
        if running is not None:
            running.stop()
        child = start_service(self._services[name])
        with self._lock:
            self._children[name] = child

    def pause(self, name: str) -> None:
        """Freeze a service: it accepts connections and answers nothing."""
        self._child(name).signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a frozen service go on."""
        self._child(name).signal(signal.SIGCONT)

    def _child(self, name: str) -> Child:
        if name not in self._children:
            raise UsageError(f"{name} does not run here", hint=f"Running: {', '.join(self._children) or 'nothing'}")
        return self._children[name]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
