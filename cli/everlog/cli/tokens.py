"""Tokens signed with the local key."""

from __future__ import annotations

import time
from typing import Final

from everlog.cli.composition import new_id
from everlog.gateway.keys import issue_token
from everlog.gateway.settings import PRIVATE_KEY_NAME, GatewaySettings, keys_directory
from everlog.schemas.errors import NotFoundError

DEFAULT_TTL_S: Final = 3600
DEFAULT_TENANT: Final = "default"
DEFAULT_PRINCIPAL: Final = "local-user"


def local_token(
    *,
    tenant: str = DEFAULT_TENANT,
    principal: str = DEFAULT_PRINCIPAL,
    role: str = "owner",
    ttl_s: int = DEFAULT_TTL_S,
) -> str:
    """A token for this machine's gateway. Raises ``NotFoundError`` before ``everlog up`` made a key."""
    path = keys_directory() / PRIVATE_KEY_NAME
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"there is no local signing key in {path.parent}", hint="Make one: everlog up") from None
    settings = GatewaySettings.load()
    return issue_token(
        key,
        tenant=tenant,
        principal=principal,
        role=role,
        ttl_s=ttl_s,
        now=int(time.time()),
        jti=new_id(),
        issuer=settings.issuer,
        audience=settings.audience,
    )
