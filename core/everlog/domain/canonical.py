"""Canonical JSON (RFC 8785) and the hashes over it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec
import rfc8785
from xxhash import xxh3_64_digest

from everlog.schemas.json_values import NotInteroperableError, is_plain

if TYPE_CHECKING:
    from hashlib import _Hash as HASH

ID_HASH_BYTES: Final = 8
"""Of an event id in the ring: among 320 entries a false match is one in 10^16."""
CONTENT_HASH_BYTES: Final = 16
"""Of an event's content; the ring keeps the first four bytes, the creation digest all."""

_sorted_encoder: Final = msgspec.json.Encoder(order="sorted")


def canonical(value: Any) -> bytes:
    """The canonical JSON (RFC 8785) of a JSON value.

    Raises ``NotInteroperableError`` for what not every reader keeps: unsafe integers, numbers that are none, lone
    surrogates, too deep nesting.
    """
    try:
        return _sorted_encoder.encode(value) if is_plain(value) else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise NotInteroperableError(str(error)) from None


def parse_strictly(raw: bytes) -> Any:
    """Parse JSON without any laxness: no duplicate keys, no NaN, UTF-8 only. Raises ``NotInteroperableError``."""
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotInteroperableError(str(error)) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise NotInteroperableError("an object has the same key twice")
    return result


def _no_constant(name: str) -> Any:
    raise NotInteroperableError(f"{name} is not JSON")


def id_hash(event_id: str) -> bytes:
    """The hash of an event id that the ring keeps: xxh3-64, 8 bytes.

    It need not withstand an attack: who makes an id collide only gets ``id_reused`` for an event of their own.
    """
    return xxh3_64_digest(event_id.encode())


def content_hash(origin: HASH, data: bytes) -> bytes:
    """The hash of an event's content: the first 16 bytes of the sha256 over type, actor and the canonical JSON of data.

    The envelope's other attributes do not count, so a retry has the same.
    """
    hashed = origin.copy()
    hashed.update(data)
    return hashed.digest()[:CONTENT_HASH_BYTES]


def hashed_origin(type_name: str, actor: str) -> HASH:
    """What the content hash begins with: type and actor, a line each. A copy costs half of a new one."""
    return sha256(f"{type_name}\n{actor}\n".encode())
