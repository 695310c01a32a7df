"""The OpenAPI document: bodies from the models of ``everlog.schemas.http``, errors as problems."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from everlog.schemas.http import (
    JSON,
    PROBLEM_JSON,
    AppendAnswer,
    BatchRequest,
    CreateAnswer,
    CreateRequest,
    EventRequest,
    Problem,
    StateAnswer,
    TimelinePage,
)

_REFERENCE: Final = "#/components/schemas/{model}"
_REQUESTS: Final[tuple[type[BaseModel], ...]] = (EventRequest, BatchRequest, CreateRequest)
_ANSWERS: Final[tuple[type[BaseModel], ...]] = (AppendAnswer, CreateAnswer, StateAnswer, TimelinePage, Problem)

Responses = dict[int | str, dict[str, Any]]


def body_of(*models: type[BaseModel]) -> dict[str, Any]:
    """``openapi_extra`` of a route whose JSON body is one of these models."""
    schemas = [{"$ref": _REFERENCE.format(model=model.__name__)} for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


def answers(model: type[BaseModel], **statuses: str) -> Responses:
    """Documented successes, as in ``answers(AppendAnswer, s201="Accepted")``."""
    content = {JSON: {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}
    return {int(status[1:]): {"description": text, "content": content} for status, text in statuses.items()}


def problems(*statuses: int, needs_token: bool = True) -> Responses:
    """Documented errors; 413, 422, 500 and 503 can come from every route, 401 and 403 where it needs a token."""
    content = {PROBLEM_JSON: {"schema": {"$ref": _REFERENCE.format(model=Problem.__name__)}}}
    every = sorted({413, 422, 500, 503, *statuses, *((401, 403) if needs_token else ())})
    return {status: {"description": "Problem", "content": content} for status in every}


def describe(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, definitions = models_json_schema(
            [
                *((model, "validation") for model in _REQUESTS),
                *((model, "serialization") for model in _ANSWERS),
            ],
            ref_template=_REFERENCE,
        )
        document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
        app.openapi_schema = document
    return app.openapi_schema
