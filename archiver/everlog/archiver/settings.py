"""The archiver's settings."""

from __future__ import annotations

from pydantic import Field

from everlog.runtime.config import RoomSettings, for_room


class ArchiverSettings(RoomSettings):
    """The service that moves the log to the archive."""

    model_config = for_room("archiver")

    segment_events: int = Field(default=100_000, ge=1, le=1_000_000, description="A segment ends at so many events")
    segment_raw_bytes: int = Field(default=32 << 20, ge=1 << 16, le=1 << 30, description="or at so many raw bytes")
    flush_interval_s: float = Field(default=300.0, ge=0, description="or when its first event has waited so long")
    log_window_s: float = Field(default=3600.0, ge=0, description="Events younger than this stay on the log")
    cycle_s: float = Field(default=5.0, gt=0, le=3600, description="Pause between two looks at the log")
    metrics_port: int | None = Field(default=None, ge=1, le=65_535, description="Of the probes; None = none")
    metrics_host: str = "127.0.0.1"
