"""Signs of life of the holders of leases, in the hot store: a key per lease that expires unless it is renewed.

Derived and lossy, like all that is hot. It decides nothing: a lease is held as long as the log says so. It tells
whether a holder may be taken for dead, and that only together with the time for which the store has been the same one
(``incarnation``): a key that is absent because the store lost it says nothing about its holder. Every method raises
``UnavailableError``.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

LAPSED_MAX: Final = 200
"""Lapsed leases that are given at once: what one look can work off in some seconds."""


class Lease(NamedTuple):
    """A lease that was acquired: of a session (``tenant/session``), by a participant, at a version."""

    key: str
    participant: str
    epoch: int


class Alive(NamedTuple):
    """A holder that gave a sign of life: the time to live of its lease, and what is left of it, seconds."""

    ttl_s: int
    left_s: float


class Counts(NamedTuple):
    """Leases that are known: renewed in time, and lapsed but neither freed nor taken over yet."""

    alive: int
    lapsed: int


class Heartbeats(Protocol):
    """What gateways share about the holders of leases."""

    async def beat(self, lease: Lease, ttl_s: int) -> None:
        """The holder is alive: its lease lapses in ``ttl_s`` seconds unless this is said again."""

    async def look(self, lease: Lease) -> Alive | None:
        """How long the holder is still taken for alive; None where nothing says so."""

    async def forget(self, lease: Lease) -> None:
        """The lease is held no longer; nothing if it is not known."""

    async def lapsed(self, for_s: float) -> list[Lease]:
        """Leases that lapsed at least so long ago and were not forgotten, at most ``LAPSED_MAX``; those that lapsed
        before the store lost its data are not known until ``beat`` names them again."""

    async def counts(self) -> Counts:
        """How many leases are known."""

    async def take_turn(self, name: str, for_s: float) -> bool:
        """Whether the caller is the first to ask for this turn within so many seconds."""

    async def incarnation(self) -> str:
        """A name that changes whenever the store may have lost what it acknowledged: at a restart, at a failover, when
        it is emptied."""
