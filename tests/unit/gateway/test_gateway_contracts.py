"""Contracts are served to everyone, byte for byte as they are published."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from everlog.schemas.catalogue import TYPE_NAMES
from everlog.schemas.http import PROBLEM_JSON
from everlog.schemas.published import SCHEMA_MEDIA_TYPE, asyncapi, schema_of
from support.door import World


@pytest.fixture
async def stranger() -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a token."""
    async with World().served() as app:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            yield client


async def test_every_types_schema_is_served_by_its_full_and_its_short_name(stranger: httpx.AsyncClient) -> None:
    for name in TYPE_NAMES:
        for shown in (name, name.removeprefix("everlog.").removesuffix(".v1")):
            answer = await stranger.get(f"/v1/schemas/{shown}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, SCHEMA_MEDIA_TYPE)
            assert answer.content == schema_of(name)


@pytest.mark.parametrize("name", ["message.sent", "everlog.message.appended.v2", "com.example.booked", "..%2Fasyncapi"])
async def test_an_unknown_type_is_a_404_that_lists_the_known_ones(stranger: httpx.AsyncClient, name: str) -> None:
    answer = await stranger.get(f"/v1/schemas/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM_JSON)
    if "%" not in name:
        assert answer.json()["type"] == "urn:everlog:problem:unknown-type"
        assert "everlog.batch.appended.v1" in answer.json()["detail"]


async def test_a_name_that_is_no_types_name_is_refused(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get(f"/v1/schemas/{'x' * 200}")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:everlog:problem:invalid-request")


async def test_the_asyncapi_document_is_served(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/asyncapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.content == asyncapi()


async def test_the_openapi_document_knows_them_and_asks_for_no_token(stranger: httpx.AsyncClient) -> None:
    paths = (await stranger.get("/openapi.json")).json()["paths"]
    schemas = paths["/v1/schemas/{type}"]["get"]
    assert set(schemas["responses"]) == {"200", "404", "413", "422", "500", "503"}
    assert set(schemas["responses"]["200"]["content"]) == {SCHEMA_MEDIA_TYPE}
    assert [parameter["name"] for parameter in schemas["parameters"]] == ["type"]
    for operation in (schemas, paths["/asyncapi.json"]["get"]):
        assert "security" not in operation
