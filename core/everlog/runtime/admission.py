"""What a service makes sure of before it starts: that log, stores and its own code belong together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from everlog.domain.view import FOLD_VERSION
from everlog.ports.control import ControlStore, Generation
from everlog.ports.log import LogIdentity, LogReader
from everlog.schemas.errors import ConflictError, ControlLostError, LogLostError, NotFoundError


async def check_log(
    log: LogReader, control: ControlStore, refuse_orphaned_views: Callable[[], Awaitable[None]]
) -> LogIdentity:
    """Which log this is; it must be the one that everything was made from.

    Raises ``LogLostError`` for another one, ``ControlLostError`` when the control database is empty beside a filled log
    or filled views, ``NotFoundError`` before ``everlog init``, ``UnavailableError``.
    """
    identity, known = await log.identity(), await control.identity()
    if known is None:
        await refuse_orphaned_views()
        await refuse_filled_log(log, control)
        raise NotFoundError(f"nothing here knows {identity} yet", hint="Run: everlog init")
    if known != identity:
        raise LogLostError(
            f"the log is {identity}; everything here was made from {known}", hint=_hint_for(known, identity)
        )
    return identity


async def refuse_filled_log(log: LogReader, control: ControlStore) -> None:
    """Raise ``ControlLostError`` when nothing remembers a log that holds records, or held some that were trimmed."""
    if await control.identity() is not None:
        return
    identity = await log.identity()
    filled = [partition for partition in range(identity.partitions) if (await log.bounds(partition)).end > 0]
    if filled:
        raise ControlLostError(
            f"the control database is empty, but {identity} holds events (partitions {_listed(filled)})",
            hint="Name the right one with EVERLOG_MONGO__CONTROL_DATABASE, or restore it from its backup; "
            "if it is lost for good: everlog init --adopt-log",
        )


def check_generation(known: Sequence[Generation], wanted: int, fold_version: int = FOLD_VERSION) -> None:
    """Make sure that this code, of ``fold_version``, may fold a generation.

    Raises ``NotFoundError`` when there is no such generation, ``ConflictError`` when it is of another fold version.
    """
    found = next((each for each in known if each.generation == wanted), None)
    if found is None:
        raise NotFoundError(
            f"there is no generation {wanted}, only {_listed([each.generation for each in known]) or 'none'}",
            hint="Leave EVERLOG_PROJECTOR__GENERATION out to fold the live one",
        )
    if found.fold_version != fold_version:
        raise ConflictError(
            f"generation {wanted} is of fold version {found.fold_version}, this code folds version {fold_version}",
            hint="Run the release that made it; a changed fold starts as a new generation only",
        )


def _hint_for(known: LogIdentity, found: LogIdentity) -> str:
    """What to do about the first difference, the others following from it."""
    if known.cluster_id != found.cluster_id:
        return "Point EVERLOG_KAFKA__BROKERS at the right cluster"
    if known.topic != found.topic or known.era != found.era:
        return f"Set EVERLOG_KAFKA__TOPIC={known.topic} and EVERLOG_KAFKA__ERA={known.era}"
    return "Keys lie elsewhere with another partition count: it needs a topic of a new era"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
