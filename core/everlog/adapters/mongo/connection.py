"""The client of both stores, with everything that matters set explicitly."""

from __future__ import annotations

from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from everlog.runtime.config import MongoSettings
from everlog.schemas.errors import ConfigurationError

Client = AsyncMongoClient[dict[str, Any]]
Collection = AsyncCollection[dict[str, Any]]
Database = AsyncDatabase[dict[str, Any]]


def connect(settings: MongoSettings) -> Client:
    """A client for the address in the settings; it connects at first use. Close it with ``await client.close()``.

    ``timeoutMS`` bounds every call with all its steps. The driver repeats nothing: every write here can be sent again
    by the caller, and two layers of retries multiply. Writes are acknowledged by a majority, reads go to the primary;
    options in the address do not change that. Raises ``ConfigurationError``.
    """
    try:
        return AsyncMongoClient(
            settings.url.get_secret_value(),
            appname="everlog",
            timeoutMS=int(settings.timeout_s * 1000),
            retryWrites=False,
            retryReads=False,
            w="majority",
            readPreference="primary",
        )
    except (PyMongoError, ValueError) as error:
        raise ConfigurationError(f"{MongoSettings.variable('url')} is wrong: {type(error).__name__}") from None
