"""An event loop on a thread of its own, for callers that do not await."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
_Shown = TypeVar("_Shown")
_Item = TypeVar("_Item")
_END: Final = object()


class Portal:
    """Runs coroutines on its loop and waits for them, once it was started. Threads may share it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._iterated: set[AsyncGenerator[Any]] = set()

    def start(self) -> None:
        """Start the loop."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="everlog-client", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Its result. An interrupted wait (Ctrl-C) cancels it. Raises ``RuntimeError`` before the start."""
        if self._loop is None:
            work.close()
            raise RuntimeError("use it as a context: with Everlog.connect_sync(...) as log")
        waiting = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return waiting.result()
        except BaseException:
            waiting.cancel()
            raise

    def iterate(self, items: AsyncGenerator[_Item]) -> Iterator[_Item]:
        """The items, one by one; closing the iterator closes theirs, and so does closing the portal."""

        async def following() -> _Item | object:
            return await anext(items, _END)

        self._iterated.add(items)
        try:
            while (item := self.call(following())) is not _END:
                yield item  # type: ignore[misc]  # all but the end are items
        finally:
            if items in self._iterated:
                self.call(self._close_items(items))

    def close(self) -> None:
        """End the loop, with what still runs on it."""
        if self._loop is None or self._thread is None:
            return
        for items in list(self._iterated):
            self.call(self._close_items(items))
        self.call(_end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    async def _close_items(self, items: AsyncGenerator[Any]) -> None:
        self._iterated.discard(items)
        await items.aclose()


async def _end_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()


class Face:
    """What stands before an object of the async core: calls go through a portal."""

    def __init__(self, portal: Portal, core: Any) -> None:
        self._portal, self._core = portal, core


class blocking(Generic[_Given, _Shown]):  # noqa: N801 (used as a decorator is)
    """A coroutine method of the core as a method that waits: the same parameters, result and docstring."""

    def __init__(
        self,
        method: Callable[Concatenate[Any, _Given], Coroutine[Any, Any, _Result]],
        show: Callable[[Portal, _Result], _Shown],
    ) -> None:
        self._name, self._show = method.__name__, show
        self.__doc__ = method.__doc__

    def __get__(self, face: Face, owner: type) -> Callable[_Given, _Shown]:
        if face is None:
            return self
        method = getattr(face._core, self._name)

        @wraps(method)
        def call(*given: _Given.args, **named: _Given.kwargs) -> _Shown:
            return self._show(face._portal, face._portal.call(method(*given, **named)))

        return call


class iterating(Generic[_Given, _Item]):  # noqa: N801 (used as a decorator is)
    """A method of the core that gives an async iterator, as one that gives an iterator."""

    def __init__(self, method: Callable[Concatenate[Any, _Given], AsyncGenerator[_Item]]) -> None:
        self._name = method.__name__
        self.__doc__ = method.__doc__

    def __get__(self, face: Face, owner: type) -> Callable[_Given, Iterator[_Item]]:
        if face is None:
            return self
        method = getattr(face._core, self._name)

        @wraps(method)
        def call(*given: _Given.args, **named: _Given.kwargs) -> Iterator[_Item]:
            return face._portal.iterate(method(*given, **named))

        return call


def as_it_is(_: Portal, result: _Result) -> _Result:
    """What a method gives needs no face."""
    return result
