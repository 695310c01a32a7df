"""Ports whose every call is seen, so that the n-th one can fail, wait, or let something happen in between."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar, cast

from everlog.schemas.errors import UnavailableError

Port = TypeVar("Port")
Hook = Callable[[str], Awaitable[None]]


class CrashError(Exception):
    """The process ended here: nobody who is tested knows this error."""


class Watch:
    """Calls ``before`` and ``after`` around every call of the ports that it watches, with the method's name.

    Each step of a method that yields counts as a call of its own.
    """

    def __init__(self, before: Hook | None = None, after: Hook | None = None) -> None:
        self._before, self._after = before, after
        self.calls: list[str] = []

    def over(self, port: Port) -> Port:
        """The same port, watched."""
        return cast(Port, _Watched(port, self))

    async def enter(self, name: str) -> None:
        """A call begins."""
        self.calls.append(name)
        if self._before is not None:
            await self._before(name)

    async def leave(self, name: str) -> None:
        """A call has had its effect."""
        if self._after is not None:
            await self._after(name)


class _Watched:
    def __init__(self, port: Any, watch: Watch) -> None:
        self._port, self._watch = port, watch

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        watch = self._watch

        async def call(*args: Any, **kwargs: Any) -> Any:
            await watch.enter(name)
            result = await method(*args, **kwargs)
            await watch.leave(name)
            return result

        async def steps(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            await watch.enter(name)
            async for item in method(*args, **kwargs):
                await watch.leave(name)
                yield item
                await watch.enter(name)
            await watch.leave(name)

        if inspect.iscoroutinefunction(method):
            return call
        if inspect.isasyncgenfunction(method):
            return steps
        if name == "at_epoch":
            return lambda epoch: watch.over(method(epoch))
        return method


def silent() -> Watch:
    """A watch that only counts."""
    return Watch()


def failing(number: int, error: Exception, *, after: bool) -> Watch:
    """A watch whose call ``number`` fails, before it has its effect or after it."""

    async def before(name: str) -> None:
        if not after and len(watch.calls) - 1 == number:
            raise error

    async def afterwards(name: str) -> None:
        if after and len(watch.calls) - 1 == number and not failed:
            failed.append(name)
            raise error

    failed: list[str] = []
    watch = Watch(before, afterwards)
    return watch


def away(names: set[str]) -> Watch:
    """A watch whose calls of these names fail as long as they are in the set."""

    async def before(name: str) -> None:
        if name in names:
            raise UnavailableError("the store", f"{name} does not answer")

    return Watch(before)


def when(number: int, action: Callable[[], Awaitable[object]]) -> Watch:
    """A watch that does something right before call ``number``."""

    async def before(name: str) -> None:
        if len(watch.calls) - 1 == number:
            await action()

    watch = Watch(before)
    return watch


def taking_turns(pauses: Callable[[], int]) -> Watch:
    """A watch whose calls let others go first, as often as ``pauses`` says each time."""

    async def before(name: str) -> None:
        for _ in range(pauses()):
            await asyncio.sleep(0)

    return Watch(before)
