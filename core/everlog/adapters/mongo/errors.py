"""PyMongo's errors as ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure, PyMongoError

from everlog.schemas.errors import UnavailableError

DUPLICATE_KEY: Final = 11000

_DEPENDENCY: Final = "MongoDB"
_ANSWER: Final = "Check that MongoDB runs, has a primary, and that EVERLOG_MONGO__URL names it"
_CREDENTIALS: Final = "Check the user, the password and the roles of EVERLOG_MONGO__URL"
_ACCESS: Final = frozenset({13, 18})
"""Unauthorized, AuthenticationFailed."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the driver raises into ``UnavailableError`` with a hint.

    A server that is away shows itself in several ways, one after the other (``NetworkTimeout``, ``AutoReconnect``,
    ``ServerSelectionTimeoutError``), hence their common parent. Misuse of the driver is not translated: it is a bug.
    """
    try:
        yield
    except OperationFailure as error:
        hint = _CREDENTIALS if error.code in _ACCESS else _ANSWER
        raise UnavailableError(_DEPENDENCY, _summary(error), hint=hint) from error
    except ConnectionFailure as error:
        raise UnavailableError(_DEPENDENCY, type(error).__name__, hint=_ANSWER) from error
    except PyMongoError as error:
        if error.timeout:
            raise UnavailableError(_DEPENDENCY, type(error).__name__, hint=_ANSWER) from error
        raise


def duplicates(error: BulkWriteError) -> list[int]:
    """Indexes of the operations whose ``_id`` was there already.

    Raises the error itself when anything else went wrong, a missing majority included.
    """
    details: Mapping[str, Any] = error.details
    failures = details["writeErrors"]
    if details["writeConcernErrors"] or any(failure["code"] != DUPLICATE_KEY for failure in failures):
        raise error
    return [int(failure["index"]) for failure in failures]


def _summary(error: OperationFailure) -> str:
    """What the server said, without documents: a bulk error's own text holds them whole."""
    if isinstance(error, BulkWriteError):
        failures = [*error.details["writeErrors"], *error.details["writeConcernErrors"]]
        return f"{len(failures)} writes failed, the first with code {failures[0].get('code')}"
    return f"{type(error).__name__}, code {error.code}"
