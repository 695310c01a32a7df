"""The projector's settings."""

from __future__ import annotations

from pydantic import Field

from everlog.runtime.config import RoomSettings, for_room


class ProjectorSettings(RoomSettings):
    """The service that folds the log into the stores."""

    model_config = for_room("projector")

    generation: int | None = Field(default=None, ge=1, description="None = the live one")
    instance_id: str | None = Field(default=None, description="Static group membership, for calm rolling restarts")
    session_timeout_s: float = Field(
        default=30.0, ge=6, le=300, description="A worker that is silent for so long loses its partitions"
    )
    cached_sessions: int = Field(default=20_000, ge=1, description="Per partition, and at most 64 MiB of them")
    request_poll_ms: int = Field(default=100, ge=10, le=60_000, description="How often requests are looked for")
    metrics_port: int | None = Field(default=None, ge=1, le=65_535, description="Of the probes; None = none")
    metrics_host: str = "127.0.0.1"
