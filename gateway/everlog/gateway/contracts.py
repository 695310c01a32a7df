"""The published contracts, without a token: a type's JSON Schema, and the AsyncAPI document."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from everlog.gateway.appending import PREFIX
from everlog.gateway.documents import Responses, problems
from everlog.gateway.problems import Refusal, problem_response
from everlog.schemas.catalogue import TYPE_NAMES
from everlog.schemas.http import JSON, ShortType
from everlog.schemas.identifiers import full_type
from everlog.schemas.published import SCHEMA_MEDIA_TYPE, asyncapi, schema_of

router = APIRouter()
_NAMES: Final = {str(name): name for name in TYPE_NAMES}


def _document(media_type: str, text: str) -> Responses:
    return {200: {"description": text, "content": {media_type: {"schema": {"type": "object"}}}}}


@router.get(
    f"{PREFIX}/schemas/{{type}}",
    responses=_document(SCHEMA_MEDIA_TYPE, "JSON Schema, draft 2020-12") | problems(404, needs_token=False),
    response_class=Response,
)
async def read_schema(request: Request, type_name: Annotated[ShortType, Path(alias="type")]) -> Response:
    """The JSON Schema of a type's whole event, by its short or full name."""
    name = _NAMES.get(full_type(type_name))
    if name is None:
        refusal = Refusal("unknown-type", f"Everlog's types are {', '.join(TYPE_NAMES)}")
        return problem_response(refusal, instance=request.url.path, trace_id=request.state.trace_id)
    return Response(schema_of(name), media_type=SCHEMA_MEDIA_TYPE)


@router.get(
    "/asyncapi.json",
    responses=_document(JSON, "AsyncAPI 3.0") | problems(needs_token=False),
    response_class=Response,
)
async def read_asyncapi() -> Response:
    """What lies on the log, and what is published about it."""
    return Response(asyncapi(), media_type=JSON)
