"""The OpenAPI document: complete, with an example of every error, and true of the app."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.door import World, knocking

Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture
async def document() -> dict[str, Any]:
    async with World().served() as app, knocking(app) as door:
        described: dict[str, Any] = (await door.get("/openapi.json")).json()
        return described


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


async def test_every_error_of_every_route_has_an_example(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                examples = answer["content"]["application/problem+json"]["examples"]
                assert examples, (method, path, status)
                assert all(example["value"]["status"] == int(status) for example in examples.values())


async def test_every_route_that_needs_a_token_says_what_comes_without_one(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if path.startswith("/v1/") and not path.startswith("/v1/schemas"):
            assert {"401", "403", "413", "422", "429", "500", "503"} <= set(operation["responses"]), (method, path)
            assert operation["security"], (method, path)


async def test_no_parameter_is_null_and_needed_headers_are_required(document: dict[str, Any]) -> None:
    needed = set()
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert {"type": "null"} not in parameter["schema"].get("anyOf", ()), (method, path, parameter)
            if parameter["in"] == "header" and parameter["required"]:
                needed.add((method, path, parameter["name"]))
    lease = "/v1/sessions/{session}/participants/{participant}/lease"
    assert needed == {
        ("put", "/v1/sessions/{session}", "if-none-match"),
        ("post", f"{lease}/heartbeat", "everlog-lease-epoch"),
        ("delete", lease, "everlog-lease-epoch"),
    }


async def test_a_405_names_all_methods_of_the_path() -> None:
    async with World().served() as app, knocking(app) as door:
        answer = await door.request("DELETE", "/v1/sessions")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")
        answer = await door.request("POST", "/v1/sessions/rome/stream")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


async def test_readyz_tells_each_check_when_it_is_asked_to() -> None:
    async with World().served() as app, knocking(app) as door:
        assert (await door.get("/readyz")).json() == {"status": "ready"}
        checks = (await door.get("/readyz?verbose")).json()["checks"]
        assert checks == {"kafka": True, "mongo": True, "redis": True, "background": True, "draining": False}
