"""The door over the stores in memory, for every file of this room; a file may have a world of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from support.door import World, knocking


@pytest.fixture
async def world() -> World:
    return World()


@pytest.fixture
async def app(world: World) -> AsyncIterator[FastAPI]:
    async with world.served() as app:
        yield app


@pytest.fixture
async def door(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """ada's client."""
    async with knocking(app) as client:
        yield client
