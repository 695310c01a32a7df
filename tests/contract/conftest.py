"""What the contract suites of MongoDB's stores share."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from everlog.adapters.mongo import connect
from everlog.adapters.mongo.connection import Client
from everlog.local.stack import Addresses
from everlog.runtime.config import MongoSettings


@pytest.fixture
async def mongo(services: Addresses) -> AsyncIterator[Client]:
    """A client of the real server (or its stand-in)."""
    async with connect(MongoSettings(url=services.mongo)) as client:
        yield client


@pytest.fixture
async def database(mongo: Client) -> AsyncIterator[str]:
    """The name of a database of this test alone."""
    name = f"contract_{uuid.uuid4().hex}"
    yield name
    for existing in await mongo.list_database_names():
        if existing.startswith(name):
            await mongo.drop_database(existing)
