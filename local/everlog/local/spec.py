"""What ``everlog up`` wants, and what the supervisor says there is: two JSON files in the data directory."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from everlog.local.layout import Layout
from everlog.local.ports import Ports
from everlog.local.settings import LocalSettings
from everlog.local.stack import ALL, Addresses


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExtraService(_Model):
    """A command that needs the stores, such as the gateway.

    ``argv[0]`` is the whole path of a program; ``environment`` is added to the supervisor's own; ``ready_url`` answers
    200 when it is ready, without one it is ready once it runs; ``log`` is its log file, by default in the data
    directory.
    """

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str] = {}
    ready_url: str | None = None
    log: Path | None = None


class Spec(_Model):
    """What should run. ``initialise`` runs once to its end, after the stores are ready and before the extras start."""

    ports: Ports
    settings: LocalSettings
    services: tuple[str, ...] = ALL
    initialise: ExtraService | None = None
    extras: tuple[ExtraService, ...] = ()
    revision: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that listens."""
        return (*self.services, *(extra.name for extra in self.extras))

    def joined(self, wanted: Spec) -> Spec:
        """This running spec and what ``wanted`` adds to it; ports and settings stay, since addresses are in use."""
        extras = {extra.name: extra for extra in (*self.extras, *wanted.extras)}
        return self.model_copy(
            update={
                "services": tuple(name for name in ALL if name in {*self.services, *wanted.services}),
                "initialise": wanted.initialise or self.initialise,
                "extras": tuple(extras.values()),
                "revision": self.revision + 1,
            }
        )


class Phase(StrEnum):
    """Where a service is in its life."""

    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    STOPPED = "stopped"


class ServiceState(_Model):
    """One service. ``detail`` says why it is not ready; ``restarts`` counts starts after the first."""

    state: Phase
    log: Path
    pid: int | None = None
    restarts: int = 0
    detail: str = ""


class State(_Model):
    """What the supervisor ``pid`` runs; ``revision`` is the spec it follows. Holds secrets: its file is the owner's."""

    pid: int
    revision: int
    ports: Ports
    addresses: Addresses
    services: dict[str, ServiceState]

    @property
    def settled(self) -> bool:
        """Nothing is starting any more."""
        return all(service.state is not Phase.STARTING for service in self.services.values())

    @property
    def failed(self) -> dict[str, ServiceState]:
        """What does not run though it should."""
        return {name: service for name, service in self.services.items() if service.state is Phase.FAILED}


def write(file: Path, model: BaseModel) -> None:
    """Replace a file of the data directory as a whole; for its owner's eyes only."""
    unfinished = file.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(model.model_dump_json(indent=2))
    unfinished.replace(file)


def read_spec(layout: Layout) -> Spec | None:
    """The wanted spec; None if there is none, or one of another release."""
    return _read(Spec, layout.spec)


def read_state(layout: Layout) -> State | None:
    """The last state that was written; None if there is none, or one of another release."""
    return _read(State, layout.state)


_M = TypeVar("_M", bound=BaseModel)


def _read(kind: type[_M], file: Path) -> _M | None:
    try:
        return kind.model_validate_json(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
