"""Which keys may sign tokens: one from a file, or those that an issuer publishes (JWKS, RFC 7517) and rotates.

The issuer is asked again every ``REFRESH_S``, and when a token names a key that is not known yet, though not more often
than every ``UNKNOWN_KEY_S``: nobody can make the gateway hammer it with made-up names. While it is away the last keys
stay trusted. A key that it publishes no longer is trusted no longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import httpx
import jwt
import orjson

from everlog.gateway.keys import ALGORITHM, load_public_key
from everlog.schemas.errors import ConfigurationError, UnavailableError

REFRESH_S: Final = 300.0
"""A key that was withdrawn is trusted for so long at most."""
UNKNOWN_KEY_S: Final = 10.0
"""A key that was added is known after so long at most."""
FETCH_TIMEOUT_S: Final = 3.0
JWKS_BYTES: Final = 256 * 1024
"""What an issuer publishes at most: a thousand keys. Usually there are two."""
LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})

log = logging.getLogger(__name__)

Fetch = Callable[[], Awaitable[bytes]]


class TrustedKeys(Protocol):
    """The keys that are trusted now."""

    @property
    def edition(self) -> int:
        """Changes whenever a key is trusted no longer: what was verified before must be verified again."""

    async def find(self, key_id: str | None) -> Sequence[jwt.PyJWK]:
        """The keys that may have signed a token with this ``kid``: all, where it has none. Raises ``UnavailableError``
        when no key was ever known."""


class FixedKey:
    """One Ed25519 public key, PEM. Raises ``ConfigurationError`` for anything else."""

    def __init__(self, pem: bytes) -> None:
        key = load_public_key(pem)
        document = jwt.get_algorithm_by_name(ALGORITHM).to_jwk(key, as_dict=True)
        self._keys = (jwt.PyJWK({**document, "alg": ALGORITHM}),)
        self.edition = 0

    async def find(self, key_id: str | None) -> Sequence[jwt.PyJWK]:
        """The key, whatever the token calls it."""
        return self._keys


class _Published(NamedTuple):
    """A key, and all that is published of it: another key under the same name is another."""

    text: bytes
    key: jwt.PyJWK


_ByName = Mapping[str | None, tuple[_Published, ...]]


class PublishedKeys:
    """The keys that an issuer publishes; only those whose algorithm is among ``algorithms``."""

    def __init__(self, fetch: Fetch, algorithms: Sequence[str], monotonic_s: Callable[[], float]) -> None:
        """``fetch`` returns the JWKS document, or raises ``UnavailableError``."""
        self._fetch, self._algorithms, self._monotonic_s = fetch, frozenset(algorithms), monotonic_s
        self._keys: _ByName = {}
        self._asked_at_s = float("-inf")
        self._asking = asyncio.Lock()
        self.edition = 0

    async def find(self, key_id: str | None) -> Sequence[jwt.PyJWK]:
        """The keys of this name; asks the issuer where that may help."""
        if self._is_due(key_id):
            async with self._asking:
                if self._is_due(key_id):  # nobody else has asked meanwhile
                    await self._refresh()
        if not self._keys:
            raise UnavailableError("the issuer of tokens", "its keys are not known yet", retry_after_s=UNKNOWN_KEY_S)
        found = self._keys.values() if key_id is None else [self._keys.get(key_id, ())]
        return [published.key for same_name in found for published in same_name]

    def _is_due(self, key_id: str | None) -> bool:
        age_s = self._monotonic_s() - self._asked_at_s
        is_unknown = not self._keys or (key_id is not None and key_id not in self._keys)
        return age_s >= (UNKNOWN_KEY_S if is_unknown else REFRESH_S)

    async def _refresh(self) -> None:
        self._asked_at_s = self._monotonic_s()
        try:
            found = _parsed(await self._fetch(), self._algorithms)
        except UnavailableError as error:
            log.warning("The issuer's keys cannot be read, the last ones stay trusted: %s", error)
            return
        if _texts(self._keys) - _texts(found):
            self.edition += 1
        self._keys = found


def fetching(url: str, client: httpx.AsyncClient) -> Fetch:
    """Reads a JWKS document by HTTPS; by HTTP only from this machine. Raises ``ConfigurationError``."""
    address = httpx.URL(url)
    if address.scheme != "https" and not (address.scheme == "http" and address.host in LOCAL_HOSTS):
        raise ConfigurationError(f"keys are read by HTTPS only, not from {url}", hint="Set EVERLOG_GATEWAY__JWKS_URL")

    async def fetch() -> bytes:
        try:
            async with client.stream("GET", address, timeout=FETCH_TIMEOUT_S) as answer:
                answer.raise_for_status()
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > JWKS_BYTES:
                        raise UnavailableError("the issuer of tokens", f"publishes more than {JWKS_BYTES} bytes")
                return body
        except httpx.HTTPError as error:
            raise UnavailableError("the issuer of tokens", type(error).__name__) from error

    return fetch


def _parsed(document: bytes, algorithms: frozenset[str]) -> _ByName:
    """Keys by their ``kid``; those for other purposes or algorithms are left out, broken ones, too."""
    try:
        listed: list[Any] = list(orjson.loads(document)["keys"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnavailableError("the issuer of tokens", f"it publishes no JWKS: {type(error).__name__}") from None
    keys: dict[str | None, tuple[_Published, ...]] = {}
    for entry in listed:
        key = _usable(entry, algorithms)
        if key is not None:
            text = orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)
            keys[key.key_id] = (*keys.get(key.key_id, ()), _Published(text, key))
    if not keys:
        raise UnavailableError("the issuer of tokens", "it publishes no key that is of use here")
    return keys


def _usable(entry: Any, algorithms: frozenset[str]) -> jwt.PyJWK | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    is_named = key.key_id is None or isinstance(key.key_id, str)
    return key if is_named and key.algorithm_name in algorithms else None


def _texts(keys: _ByName) -> set[bytes]:
    return {published.text for same_name in keys.values() for published in same_name}
