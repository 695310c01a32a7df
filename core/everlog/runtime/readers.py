"""Who reads the log under which rules: readers announce what they know, and new rules wait for all of them.

1. A reader announces the highest rules number that it knows, then looks at the rules in force: it does not start
   under higher ones. It says so again now and then, and withdraws when it ends.
2. Rules come into force when every reader that lives has announced them. Doors write no higher ones.
3. A reader that meets a higher number all the same ends before it stores anything of that batch. What it met counts as
   in force from then on, so that it is refused at its next start instead of being given partitions again and again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog

from everlog.domain.law import UnknownRulesError
from everlog.domain.registry import NEWEST_RULES
from everlog.ports.control import ControlStore, Reader
from everlog.schemas.errors import UnavailableError

ANNOUNCE_INTERVAL_S: Final = 60.0
SILENT_S: Final = 900.0
"""A reader that has said nothing for so long is dead: many announcements missed, and more than clocks differ."""

_log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def announcing(
    control: ControlStore,
    name: str,
    now_ms: Callable[[], int],
    *,
    rules: int = NEWEST_RULES,
    interval_s: float = ANNOUNCE_INTERVAL_S,
) -> AsyncIterator[None]:
    """Be a reader of this name, which knows the rules up to ``rules``, while the body runs.

    Raises ``UnknownRulesError`` when higher rules are in force, and what the body raises; ``UnavailableError``.
    """
    await control.announce(Reader(name, rules, now_ms()))
    announcer = asyncio.create_task(_announce_again(control, name, now_ms, rules, interval_s))
    try:
        in_force = await control.rules_in_force()
        if in_force > rules:
            raise UnknownRulesError("the log", in_force)
        await _forget_the_dead(control, now_ms())
        yield
    except UnknownRulesError as error:
        _log.critical("this reader is too old for the log", known_rules=rules, met_rules=error.rules)
        await control.put_in_force(error.rules)
        raise
    finally:
        announcer.cancel()
        await asyncio.gather(announcer, return_exceptions=True)
        with contextlib.suppress(UnavailableError):  # it counts as dead soon anyway
            await control.withdraw(name)


async def enact(control: ControlStore, rules: int, now_ms: int) -> list[Reader]:
    """Put rules in force if every living reader knows them; returns those that do not."""
    behind = [reader for reader in await control.readers() if reader.rules < rules and not _is_dead(reader, now_ms)]
    if not behind:
        await control.put_in_force(rules)
    return behind


async def _announce_again(
    control: ControlStore, name: str, now_ms: Callable[[], int], rules: int, interval_s: float
) -> None:
    while True:
        await asyncio.sleep(interval_s)
        with contextlib.suppress(UnavailableError):  # the next time will do
            await control.announce(Reader(name, rules, now_ms()))


async def _forget_the_dead(control: ControlStore, now_ms: int) -> None:
    for reader in await control.readers():
        if _is_dead(reader, now_ms):
            await control.withdraw(reader.name)


def _is_dead(reader: Reader, now_ms: int) -> bool:
    return now_ms - reader.announced_ms > SILENT_S * 1000
