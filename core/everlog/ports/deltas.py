"""Deltas: what runs are about to say, told to those who follow a session at this moment. Never stored.

A hint and nothing more: a delta may be lost, and who comes later does not see it. The event that follows has it all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol


class Delta(NamedTuple):
    """A delta of a session, ``tenant/session``; ``data`` is the JSON of its frame."""

    key: str
    data: bytes


class Listening(Protocol):
    """A subscription to the deltas of some sessions; none at first. Methods raise ``UnavailableError``."""

    async def follow(self, key: str) -> None:
        """Hear the deltas of a session, from now on."""

    async def unfollow(self, key: str) -> None:
        """Hear them no more; some may still come."""

    def deltas(self) -> AsyncIterator[Delta]:
        """Deltas as they come; ends with ``UnavailableError`` when the subscription is lost."""


class Deltas(Protocol):
    """The channel between gateways. Methods raise ``UnavailableError``."""

    async def publish(self, delta: Delta) -> None:
        """Tell a delta to every gateway that follows its session."""

    def listen(self) -> AbstractAsyncContextManager[Listening]:
        """Subscribe, for as long as the context is entered."""
