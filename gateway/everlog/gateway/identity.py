"""Who is asking: the claims of a signed token. The tenant comes from here and from nowhere else."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import jwt

from everlog.gateway.keys import ALGORITHM, load_public_key
from everlog.schemas.errors import UnauthenticatedError
from everlog.schemas.identifiers import SYSTEM_ACTOR_PREFIX, is_identifier

TOKEN_CHARACTERS: Final = 8192
"""A longer header is refused before any cryptography; usual tokens have 400."""
REQUIRED_CLAIMS: Final = ("iss", "aud", "exp", "iat", "jti", "sub", "tenant", "role")


class Identity(NamedTuple):
    """A tenant's principal and the role that its token gives it."""

    tenant: str
    principal: str
    role: str


class TokenVerifier:
    """Checks tokens of one issuer for one audience against one Ed25519 key."""

    def __init__(self, public_key: bytes, *, issuer: str, audience: str, leeway_s: float) -> None:
        """``public_key`` is a PEM. Raises ``ConfigurationError``."""
        self._key = load_public_key(public_key)
        self._issuer, self._audience, self._leeway_s = issuer, audience, leeway_s

    def identify(self, authorization: str | None) -> Identity:
        """The identity behind an ``Authorization`` header. Raises ``UnauthenticatedError``, which never echoes it."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError("a bearer token is needed", hint="Send it as Authorization: Bearer ...")
        if len(token) > TOKEN_CHARACTERS:
            raise UnauthenticatedError("the token is not valid: it is too long")
        try:
            claims = jwt.decode(
                token.strip(),
                self._key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway_s,
                options={"require": list(REQUIRED_CLAIMS)},
            )
        except jwt.ExpiredSignatureError:
            raise UnauthenticatedError("the token has expired", hint="Get a new one") from None
        except (jwt.PyJWTError, ValueError):
            raise UnauthenticatedError("the token is not valid") from None
        return _identity(claims)


def _identity(claims: dict[str, Any]) -> Identity:
    tenant, principal, role = claims["tenant"], claims["sub"], claims["role"]
    for claim in (tenant, principal, role):
        if not isinstance(claim, str) or not is_identifier(claim):
            raise UnauthenticatedError("the token is not valid: tenant, sub and role must be identifiers")
    if principal.startswith(SYSTEM_ACTOR_PREFIX):
        raise UnauthenticatedError("the token is not valid: nobody outside is the system")
    return Identity(tenant, principal, role)
