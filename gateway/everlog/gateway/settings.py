"""Settings of the gateway: ``EVERLOG_GATEWAY__<FIELD>``."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from everlog.runtime.config import RoomSettings, for_room, state_directory

PRIVATE_KEY_NAME: Final = "token-private.pem"
PUBLIC_KEY_NAME: Final = "token-public.pem"
"""Files of the key pair that ``everlog up`` makes."""


def keys_directory() -> Path:
    """Where ``everlog up`` keeps the key pair of local tokens."""
    return state_directory() / "keys"


def _local_public_key() -> Path:
    return keys_directory() / PUBLIC_KEY_NAME


class GatewaySettings(RoomSettings):
    """Where the gateway listens, whose tokens it takes, and how long it waits."""

    model_config = for_room("gateway")

    host: str = Field(default="127.0.0.1", description="Address to listen on")
    port: int = Field(default=8080, ge=1, le=65_535)
    issuer: str = Field(default="everlog", min_length=1, description="`iss` that a token must have")
    audience: str = Field(default="everlog", min_length=1, description="`aud` that a token must have")
    public_key_path: Path = Field(
        default_factory=_local_public_key, description="Ed25519 public key of the issuer, PEM"
    )
    jwks_url: str | None = Field(
        default=None, description="Where the issuer publishes its keys (JWKS), by HTTPS; used instead of the file"
    )
    algorithms: tuple[Literal["EdDSA", "ES256", "PS256", "RS256"], ...] = Field(
        default=("EdDSA",), min_length=1, description="Signatures that are accepted"
    )
    token_leeway_s: int = Field(default=5, ge=0, le=300, description="How far clocks may differ")
    append_timeout_s: float = Field(default=4.0, gt=0, le=60, description="Wait for Kafka's acknowledgement")
    verdict_timeout_s: float = Field(default=5.0, gt=0, le=60, description="Wait for a verdict without Prefer")
    read_timeout_s: float = Field(default=5.0, gt=0, le=60, description="Wait for a state that is not there yet")
    lease_grace_s: float = Field(
        default=30.0, ge=0, le=3600, description="So long after it lapsed a lease that nobody takes over is revoked"
    )
    body_bytes_max: int = Field(
        default=1024 * 1024, ge=1024, description="An event of the largest size, escaped and indented"
    )
    requests_max: int = Field(default=1000, ge=1, description="Requests at once; more get 503")
    session_appends_max: int = Field(
        default=512,
        ge=1,
        description="Appends to one session under way at once, more get 429: one for each participant it may have",
    )
    principal_requests_per_s: float = Field(
        default=500.0, gt=0, description="Requests of one principal for long, more get 429: a third of a process's time"
    )
    principal_burst: int = Field(default=1000, ge=1, description="Requests that one principal may make at once")
    streams_max: int = Field(default=5000, ge=1, description="Streams at once; more get 503")
    principal_streams_max: int = Field(default=1000, ge=1, description="Streams of one principal at once, more get 429")
    stream_send_timeout_s: float = Field(
        default=20.0, gt=0, le=300, description="A reader that takes nothing for so long is cut off, and may come again"
    )
    drain_pause_s: float = Field(
        default=0.5, ge=0, le=60, description="/readyz says no for so long before the door closes"
    )
    drain_timeout_s: float = Field(default=10.0, gt=0, le=300, description="Running requests may end in this time")
