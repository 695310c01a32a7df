"""Ed25519 keys and the tokens that they sign. Pure: time, ids and places are the caller's."""

from __future__ import annotations

from typing import Final, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from everlog.schemas.errors import ConfigurationError

ALGORITHM: Final = "EdDSA"
"""The one algorithm: a token cannot choose another (RFC 8725, section 3.1)."""


class KeyPair(NamedTuple):
    """A key pair as PEM: PKCS 8 without a password, and SubjectPublicKeyInfo."""

    private: bytes
    public: bytes


def new_key_pair() -> KeyPair:
    """A fresh key pair. Whoever writes it down makes the private file readable by its owner only."""
    key = Ed25519PrivateKey.generate()
    return KeyPair(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


def load_public_key(pem: bytes) -> Ed25519PublicKey:
    """The key of a PEM. Raises ``ConfigurationError`` for anything but an Ed25519 public key."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError("the key of tokens is not an Ed25519 public key in PEM", hint="Make one: everlog up")
    return key


def issue_token(
    private_key: bytes,
    *,
    tenant: str,
    principal: str,
    role: str,
    ttl_s: int,
    now: int,
    jti: str,
    issuer: str = "everlog",
    audience: str = "everlog",
) -> str:
    """A signed token; ``private_key`` is a PEM, ``now`` seconds since 1970.

    Raises ``ConfigurationError`` for a key that is not an Ed25519 private key.
    """
    try:
        key = load_pem_private_key(private_key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError("the signing key is not an Ed25519 private key in PEM", hint="Make one: everlog up")
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": principal,
        "iat": now,
        "exp": now + ttl_s,
        "jti": jti,
        "tenant": tenant,
        "role": role,
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM)
