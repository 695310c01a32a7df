"""Bloom filters: which sessions a segment may hold. One per segment, 10 bits per session.

Source: Bloom 1970; number of hash functions k = (m / n) ln 2. The k positions come from two hashes,
g_i(x) = h1(x) + i h2(x) mod m, which costs nothing in the rate of false positives: Kirsch and Mitzenmacher,
"Less Hashing, Same Performance: Building a Better Bloom Filter", Random Structures & Algorithms 33(2), 2008.
h1 and h2 are the two halves of one xxh3-128. With 10 bits and k = 7 about 0.8 % of the sessions that are
not there seem to be.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from struct import Struct

from xxhash import xxh3_128_intdigest

from everlog.schemas.errors import ArchiveDamagedError

BITS_PER_SESSION = 10
"""Bits per session: one false positive costs one range GET, 0.8 % of them are cheap against 1.25 bytes a session."""

HASH_FUNCTIONS = round(BITS_PER_SESSION * math.log(2))
"""k, the number of bits set per session: 7."""

_HEADER = Struct("<4sBxxxQ")
_MAGIC = b"EVB1"
_LOW = (1 << 64) - 1


def build_bloom(session_keys: Collection[str]) -> bytes:
    """The filter of these sessions: header (magic, k, number of bits) and the bits, least significant first."""
    bits = max(8, BITS_PER_SESSION * len(session_keys))
    bitmap = bytearray((bits + 7) // 8)
    for session_key in session_keys:
        for position in _positions(session_key, HASH_FUNCTIONS, bits):
            bitmap[position >> 3] |= 1 << (position & 7)
    return _HEADER.pack(_MAGIC, HASH_FUNCTIONS, bits) + bitmap


def may_contain(bloom: bytes | memoryview, session_key: str) -> bool:
    """Whether the filter may hold the session: False is certain. Raises ``ArchiveDamagedError`` if it is no filter."""
    if len(bloom) < _HEADER.size:
        raise ArchiveDamagedError("a bloom filter is too short")
    magic, hash_functions, bits = _HEADER.unpack_from(bloom)
    if magic != _MAGIC or not bits or len(bloom) != _HEADER.size + (bits + 7) // 8:
        raise ArchiveDamagedError("a bloom filter's header does not fit its bytes")
    return all(
        bloom[_HEADER.size + (position >> 3)] >> (position & 7) & 1
        for position in _positions(session_key, hash_functions, bits)
    )


def _positions(session_key: str, hash_functions: int, bits: int) -> list[int]:
    both = xxh3_128_intdigest(session_key.encode())
    first, step = both >> 64, both & _LOW
    return [(first + i * step) % bits for i in range(hash_functions)]
