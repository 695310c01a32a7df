"""What one principal, and one session, may ask of a process: nobody takes it away from all others.

The bounds hold per process: several gateways grant several times as much.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from everlog.gateway.identity import Identity
from everlog.schemas.errors import RateLimitedError

PRINCIPALS_KNOWN: Final = 65_536
"""Principals whose bucket is remembered, those that asked last: about 16 MiB. One that is forgotten has a full one."""
_TURN_S: Final = 1.0
"""When another append to the session makes sense: many end within a second."""


class _Bucket(NamedTuple):
    tokens: float
    at_s: float


class Buckets:
    """A token bucket per principal: ``rate_per_s`` requests a second for long, ``burst`` at once."""

    def __init__(self, rate_per_s: float, burst: int, monotonic_s: Callable[[], float]) -> None:
        self._rate_per_s, self._burst, self._monotonic_s = rate_per_s, float(burst), monotonic_s
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def take(self, identity: Identity) -> None:
        """Take a token. Raises ``RateLimitedError``, which says when there is one again."""
        now_s, owner = self._monotonic_s(), (identity.tenant, identity.principal)
        bucket = self._buckets.pop(owner, None) or _Bucket(self._burst, now_s)
        tokens = min(self._burst, bucket.tokens + (now_s - bucket.at_s) * self._rate_per_s)
        granted = tokens >= 1
        self._buckets[owner] = _Bucket(tokens - 1 if granted else tokens, now_s)
        if len(self._buckets) > PRINCIPALS_KNOWN:
            self._buckets.popitem(last=False)
        if not granted:
            raise RateLimitedError(
                "the gateway",
                f"{identity.principal} asks more than {self._rate_per_s:g} times a second",
                retry_after_s=(1 - tokens) / self._rate_per_s,
            )


class Turns:
    """Counts what is under way for each key, at most ``limit`` at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one_of(self, key: str) -> Iterator[None]:
        """Hold a turn for the body. Raises ``RateLimitedError`` where all are taken."""
        if self._taken[key] >= self._limit:
            raise RateLimitedError("the session", f"{self._limit} appends to it are under way", retry_after_s=_TURN_S)
        self._taken[key] += 1
        try:
            yield
        finally:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
