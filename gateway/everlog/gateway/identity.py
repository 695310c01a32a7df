"""Who is asking: the claims of a signed token. The tenant comes from here and from nowhere else."""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple

import jwt

from everlog.gateway.keys import ALGORITHM, load_public_key
from everlog.schemas.errors import UnauthenticatedError
from everlog.schemas.identifiers import SYSTEM_ACTOR_PREFIX, is_identifier

TOKEN_CHARACTERS: Final = 8192
"""A longer header is refused before any cryptography; usual tokens have 400."""
TOKENS_REMEMBERED: Final = 4096
"""Tokens that were found valid, kept until they expire: a verification costs 0.3 ms, a tenth of an append's time."""
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
        self._valid: dict[str, tuple[Identity, float]] = {}

    def identify(self, authorization: str | None) -> Identity:
        """The identity behind an ``Authorization`` header. Raises ``UnauthenticatedError``, which never echoes it."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError("a bearer token is needed", hint="Send it as Authorization: Bearer ...")
        if len(token) > TOKEN_CHARACTERS:
            raise UnauthenticatedError("the token is not valid: it is too long")
        identity, expires_at_s = self._valid.get(token, (None, 0.0))
        if identity is None or time.time() >= expires_at_s:
            claims = self._claims(token)
            identity = _identity(claims)
            self._remember(token, identity, float(claims["exp"]))
        return identity

    def _remember(self, token: str, identity: Identity, expires_at_s: float) -> None:
        if len(self._valid) >= TOKENS_REMEMBERED:
            del self._valid[next(iter(self._valid))]
        self._valid[token] = identity, expires_at_s

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(
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


def _identity(claims: dict[str, Any]) -> Identity:
    tenant, principal, role = claims["tenant"], claims["sub"], claims["role"]
    for claim in (tenant, principal, role):
        if not isinstance(claim, str) or not is_identifier(claim):
            raise UnauthenticatedError("the token is not valid: tenant, sub and role must be identifiers")
    if principal.startswith(SYSTEM_ACTOR_PREFIX):
        raise UnauthenticatedError("the token is not valid: nobody outside is the system")
    return Identity(tenant, principal, role)
