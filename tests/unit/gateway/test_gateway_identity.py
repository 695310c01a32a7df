"""Tokens and roles."""

from __future__ import annotations

import time

import jwt
import pytest

from everlog.gateway.identity import Identity, TokenVerifier
from everlog.gateway.keys import issue_token, load_public_key, new_key_pair
from everlog.gateway.roles import ROLES, Verb, require
from everlog.gateway.trust import FixedKey
from everlog.schemas.errors import ConfigurationError, ForbiddenError, UnauthenticatedError
from support.door import KEYS, token


def verifier(leeway_s: float = 0) -> TokenVerifier:
    keys = FixedKey(KEYS.public)
    return TokenVerifier(keys, algorithms=["EdDSA"], issuer="everlog", audience="everlog", leeway_s=leeway_s)


async def refused(authorization: str | None) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        await verifier().identify(authorization)
    return str(caught.value)


async def test_a_signed_token_names_tenant_principal_and_role() -> None:
    assert await verifier().identify(f"Bearer {token()}") == Identity("acme", "ada", "editor")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer \xff.x.y"])
async def test_a_header_without_a_valid_token_is_refused(header: str | None) -> None:
    await refused(header)


async def test_an_expired_token_is_refused() -> None:
    assert "expired" in await refused(f"Bearer {token(now=int(time.time()) - 1000)}")


async def test_a_token_of_the_future_is_refused() -> None:
    await refused(f"Bearer {token(now=int(time.time()) + 1000)}")


@pytest.mark.parametrize("change", [{"issuer": "other"}, {"audience": "other"}])
async def test_a_token_of_another_issuer_or_audience_is_refused(change: dict[str, str]) -> None:
    await refused(f"Bearer {token(**change)}")


async def test_a_token_of_another_key_is_refused() -> None:
    foreign = issue_token(
        new_key_pair().private, tenant="acme", principal="ada", role="owner", ttl_s=60, now=int(time.time()), jti="t"
    )
    await refused(f"Bearer {foreign}")


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "iat", "jti", "sub", "tenant", "role"])
async def test_a_token_without_a_required_claim_is_refused(claim: str) -> None:
    claims = jwt.decode(token(), options={"verify_signature": False})
    del claims[claim]
    await refused(f"Bearer {jwt.encode(claims, KEYS.private, algorithm='EdDSA')}")


async def test_an_unsigned_token_and_one_signed_with_the_public_key_as_a_secret_are_refused() -> None:
    claims = jwt.decode(token(), options={"verify_signature": False})
    await refused(f"Bearer {jwt.encode(claims, '', algorithm='none')}")
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT"}')
    body = token().split(".")[1].encode()
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = jwt.utils.base64url_encode(algorithm.sign(header + b"." + body, KEYS.public))
    await refused(f"Bearer {(header + b'.' + body + b'.' + signature).decode()}")


@pytest.mark.parametrize(
    "claims", [{"tenant": "a/b"}, {"tenant": ""}, {"principal": "system:door"}, {"principal": "a b"}, {"role": "x y"}]
)
async def test_claims_must_be_identifiers_and_nobody_is_the_system(claims: dict[str, str]) -> None:
    await refused(f"Bearer {token(**claims)}")


async def test_a_refusal_never_echoes_the_token() -> None:
    assert "secret" not in await refused("Bearer secret.secret.secret")


def test_only_an_ed25519_public_key_verifies_tokens() -> None:
    for wrong in (b"", b"not a key", KEYS.private):
        with pytest.raises(ConfigurationError):
            load_public_key(wrong)
    with pytest.raises(ConfigurationError):
        issue_token(KEYS.public, tenant="a", principal="b", role="editor", ttl_s=1, now=0, jti="t")


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator", "auditor"])
def test_roles_that_only_read_may_not_write(role: str) -> None:
    identity = Identity("acme", "ada", role)
    require(identity, Verb.READ)
    for verb in (Verb.APPEND, Verb.CREATE):
        with pytest.raises(ForbiddenError):
            require(identity, verb)


def test_a_role_that_is_not_in_the_table_may_do_nothing() -> None:
    assert "root" not in ROLES
    for verb in Verb:
        with pytest.raises(ForbiddenError):
            require(Identity("acme", "ada", "root"), verb)


async def test_a_token_is_verified_again_once_it_has_expired() -> None:
    now = int(time.time())
    ended = token(now=now - 100, ttl_s=99)
    patient = verifier(leeway_s=60)
    assert await patient.identify(f"Bearer {ended}") == await patient.identify(f"Bearer {ended}")
    remembered = patient._valid[ended]
    patient._valid[ended] = remembered._replace(identity=Identity("acme", "eve", "owner"), expires_at_s=now - 1.0)
    assert (await patient.identify(f"Bearer {ended}")).principal == "ada", "a memory was trusted beyond its time"
