"""Canonical JSON (RFC 8785) and the hashes over it."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any, Final

import msgspec
import rfc8785

from everlog.schemas.limits import JSON_DEPTH, SAFE_INTEGER

ID_HASH_BYTES: Final = 8
"""Of an event id in the ring: among 320 entries a false match is one in 10^16."""
CONTENT_HASH_BYTES: Final = 16
"""Of an event's content; the ring keeps the first four bytes, the creation digest all."""

_sorted_encoder = msgspec.json.Encoder(order="sorted")
_FIRST_ABOVE_SURROGATES: Final = "\ue000"


class NotCanonicalError(ValueError):
    """JSON that the rules do not allow: a duplicate key, a number or nesting that not every reader keeps."""


def canonical(value: Any) -> bytes:
    """The canonical JSON (RFC 8785) of a JSON value.

    Raises ``NotCanonicalError`` for numbers outside the safe range, NaN, lone surrogates, or nesting over the limit.
    """
    try:
        return _sorted_encoder.encode(value) if is_plain(value) else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise NotCanonicalError(str(error)) from None


def is_plain(value: Any, depth: int = JSON_DEPTH) -> bool:
    """Whether sorting keys by code points and writing integers is all that RFC 8785 asks of this value.

    It is not for floats (their text follows ECMAScript) and for keys with characters from U+E000 on (RFC 8785
    sorts by UTF-16 units). Raises ``NotCanonicalError`` for an integer outside the safe range or too deep nesting.
    """
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return True
    if isinstance(value, int):
        if not -SAFE_INTEGER <= value <= SAFE_INTEGER:
            raise NotCanonicalError(f"the integer {value} is outside the range that every JSON reader keeps")
        return True
    if depth <= 0:
        raise NotCanonicalError(f"nested deeper than {JSON_DEPTH}")
    if isinstance(value, dict):
        plain = all(key.isascii() or max(key) < _FIRST_ABOVE_SURROGATES for key in value)
        return all([is_plain(item, depth - 1) for item in value.values()]) and plain  # noqa: C419 (visit all)
    if isinstance(value, list):
        return all([is_plain(item, depth - 1) for item in value])  # noqa: C419 (visit all)
    return False


def parse_strictly(raw: bytes) -> Any:
    """Parse JSON without any laxness: no duplicate keys, no NaN, UTF-8 only, bounded nesting.

    Raises ``NotCanonicalError``.
    """
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotCanonicalError(str(error)) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise NotCanonicalError("an object has the same key twice")
    return result


def _no_constant(name: str) -> Any:
    raise NotCanonicalError(f"{name} is not JSON")


def id_hash(event_id: str) -> bytes:
    """The hash of an event id that the ring keeps, 8 bytes."""
    return blake2b(event_id.encode(), digest_size=ID_HASH_BYTES).digest()


def content_hash(type_name: str, actor: str, data: bytes) -> bytes:
    """The hash of an event's content, 16 bytes: type, actor and the canonical JSON of its data.

    The envelope's other attributes do not count, so a retry has the same.
    """
    return blake2b(b"%b\n%b\n%b" % (type_name.encode(), actor.encode(), data), digest_size=CONTENT_HASH_BYTES).digest()
