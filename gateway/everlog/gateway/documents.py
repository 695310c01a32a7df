"""The OpenAPI document: bodies from the models of ``everlog.schemas.http``, errors as problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from everlog.gateway.problems import PROBLEMS
from everlog.schemas.http import JSON, PROBLEM_JSON, PROBLEM_PREFIX, Problem

_REFERENCE: Final = "#/components/schemas/{model}"
_NEEDED: Final = "x-needed-header"
_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "idempotency-key": {"pattern": r"^[\x21-\x7e]{1,255}$", "minLength": 1, "maxLength": 255},
    "if-match": {"pattern": r'^"(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?"$', "examples": ['"12.1"']},
    "last-event-id": {"pattern": "^(0|[1-9][0-9]{0,14})$", "examples": ["42"]},
}
"""What headers must look like that are read by hand."""
_USUAL: Final = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    409: "version-conflict",
    410: "erased",
    412: "version-conflict",
    413: "limit-exceeded",
    415: "unsupported-media-type",
    422: "invalid-request",
    423: "parked",
    428: "condition-required",
    429: "rate-limited",
    500: "internal",
    503: "unavailable",
}
"""The problem that is shown of a status where a route names none."""
_requests: Final[set[type[BaseModel]]] = set()
_answers: Final[set[type[BaseModel]]] = {Problem}
"""Models that routes have named as their bodies: they are described as components."""

Responses = dict[int | str, dict[str, Any]]


def body_of(*models: type[BaseModel], is_required: bool = True) -> dict[str, Any]:
    """``openapi_extra`` of a route whose JSON body is one of these models."""
    _requests.update(models)
    schemas = [{"$ref": _REFERENCE.format(model=model.__name__)} for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {"requestBody": {"required": is_required, "content": {JSON: {"schema": schema}}}}


def needs_header(name: str, *values: str) -> dict[str, Any]:
    """``openapi_extra`` of a route that answers 428 without this header; ``values`` are all that it may have."""
    return {_NEEDED: {"name": name.lower(), "values": list(values)}}


def answers(model: type[BaseModel], **statuses: str) -> Responses:
    """Documented successes, as in ``answers(AppendAnswer, s201="Accepted")``."""
    _answers.add(model)
    content = {JSON: {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}
    return {int(status[1:]): {"description": text, "content": content} for status, text in statuses.items()}


def unchanged() -> Responses:
    """Documented answer to an ``If-None-Match`` that names what there is."""
    return {304: {"description": "What If-None-Match names is still what there is"}}


def problems(*statuses: int, needs_token: bool = True, examples: Sequence[str] = ()) -> Responses:
    """Documented errors; 413, 422, 500 and 503 can come from every route, 401, 403 and 429 where it needs a token.

    ``examples`` names problems that are shown, and whose statuses are documented, too.
    """
    shown = {PROBLEMS[name][0] for name in examples}
    every = sorted({413, 422, 500, 503, *statuses, *shown, *((401, 403, 429) if needs_token else ())})
    return {
        status: {"description": "Problem", "content": {PROBLEM_JSON: _problem(status, examples)}} for status in every
    }


def _problem(status: int, examples: Sequence[str]) -> dict[str, Any]:
    schema = {"schema": {"$ref": _REFERENCE.format(model=Problem.__name__)}}
    named = [name for name in examples if PROBLEMS[name][0] == status] or [_USUAL[status]]
    return schema | {"examples": {name: {"value": _example(name, status)} for name in named}}


def _example(name: str, status: int) -> dict[str, Any]:
    title = PROBLEMS[name][1]
    return {
        "type": PROBLEM_PREFIX + name,
        "title": title,
        "status": status,
        "detail": title,
        "instance": "/v1/sessions/rome-42",
        "errors": [],
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, definitions = models_json_schema(
            [
                *((model, "validation") for model in sorted(_requests, key=_name)),
                *((model, "serialization") for model in sorted(_answers, key=_name)),
            ],
            ref_template=_REFERENCE,
        )
        for path in document["paths"].values():
            for operation in path.values():
                _describe_parameters(operation)
        document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
        app.openapi_schema = document
    return app.openapi_schema


def _describe_parameters(operation: dict[str, Any]) -> None:
    """Say what headers look like and which are needed; a parameter that may be left out is never null."""
    needed = operation.pop(_NEEDED, None)
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        given = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
        if len(given) == 1:
            del schema["anyOf"]
            schema |= given[0]
        if parameter["in"] == "header":
            schema |= _HEADERS.get(parameter["name"].lower(), {})
            if needed is not None and parameter["name"].lower() == needed["name"]:
                parameter["required"] = True
                schema |= {"enum": needed["values"]} if needed["values"] else {}


def _name(model: type[BaseModel]) -> str:
    return model.__name__
