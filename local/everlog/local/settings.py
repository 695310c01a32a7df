"""Where the local services live and where their parts come from: ``EVERLOG_LOCAL__<FIELD>``."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from everlog.schemas.errors import ConfigurationError

# Clear of the services' usual ports (6379, 8333, 9092, 9333, 27017, 8080) and below every system's range of
# ports for outgoing connections (Linux starts at 32768, macOS at 49152).
DEFAULT_PORT_BASE = 19090


def _home(variable: str, fallback: str) -> Path:
    """Everlog's folder below an XDG base directory; a relative one is ignored, as that specification asks."""
    base = os.environ.get(variable, "")
    return (Path(base) if base.startswith("/") else Path.home() / fallback) / "everlog"


class LocalSettings(BaseSettings):
    """Settings of the real services on one machine.

    ``repositories`` maps a name to the address of a Maven repository, as JSON; the name ``central`` replaces the
    public one, so ``{"central": "<mirror>"}`` sends every download to the mirror.
    """

    model_config = SettingsConfigDict(env_prefix="EVERLOG_LOCAL__", frozen=True, extra="ignore")

    directory: Path = Field(default_factory=lambda: _home("XDG_STATE_HOME", ".local/state"))
    cache: Path = Field(default_factory=lambda: _home("XDG_CACHE_HOME", ".cache"))
    port_base: int = Field(default=DEFAULT_PORT_BASE, ge=1024, le=65_000)
    repositories: dict[str, str] = Field(default_factory=dict)
    java_home: Path | None = None


def load_settings() -> LocalSettings:
    """The settings of this environment.

    Raises:
        ConfigurationError: lists every wrong setting.
    """
    try:
        return LocalSettings()
    except ValidationError as error:
        wrong = "; ".join(
            f"EVERLOG_LOCAL__{'.'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors()
        )
        raise ConfigurationError(f"Wrong settings of the local services: {wrong}") from error
