"""Where the local services live and where their parts come from: ``EVERLOG_LOCAL__<FIELD>``."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from everlog.runtime.config import RoomSettings, for_room, state_directory

# Clear of the services' usual ports (6379, 8333, 9092, 9333, 27017, 8080) and below every system's range of
# ports for outgoing connections (Linux starts at 32768, macOS at 49152).
DEFAULT_PORT_BASE = 19090


def cache_directory() -> Path:
    """The user's folder for what can be downloaded again, by the XDG base directory rules."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "everlog"


class Listener(BaseModel):
    """A port that a server listens on beside its usual one, and the address ``host:port`` that it tells its clients."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = Field(ge=1, le=65_535)
    advertised: str


class LocalSettings(RoomSettings):
    """Settings of the real services on one machine."""

    model_config = for_room("local")

    directory: Path = Field(default_factory=state_directory, description="Data, logs and state of the services")
    cache: Path = Field(default_factory=cache_directory, description="Downloaded Java parts, 60 MB")
    port_base: int = Field(default=DEFAULT_PORT_BASE, ge=1024, le=65_000, description="First of 15 ports in a row")
    repositories: dict[str, str] = Field(
        default_factory=dict,
        description='Maven repositories by name, as JSON; {"central": ...} replaces the public one',
    )
    java_home: Path | None = Field(default=None, description="A Java of 17 or newer to use before any other")
    kafka_behind: Listener | None = Field(
        default=None,
        description='A second listener of Kafka for clients that come through a proxy, as JSON: {"port": 9094, '
        '"advertised": "127.0.0.1:9095"}; else Kafka would tell them to go round it',
    )
