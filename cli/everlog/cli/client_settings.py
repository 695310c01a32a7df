"""Where the session commands find the gateway, and as whom they speak."""

from __future__ import annotations

from pydantic import Field, SecretStr

from everlog.runtime.config import RoomSettings, for_room


class ClientSettings(RoomSettings):
    """The gateway's address, and a token; without one the local key signs one."""

    model_config = for_room("client")

    url: str = Field(default="http://127.0.0.1:8080", pattern=r"^https?://", description="Address of the gateway")
    token: SecretStr | None = Field(default=None, description="Token to send; None = one signed with the local key")
