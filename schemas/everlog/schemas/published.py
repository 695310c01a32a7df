"""The committed contracts as they are shipped: JSON Schemas of the types, and the AsyncAPI document."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from everlog.schemas.catalogue import TypeName

DIRECTORY: Final = "generated"
ASYNCAPI_NAME: Final = "asyncapi.json"
SCHEMA_MEDIA_TYPE: Final = "application/schema+json"


def schema_name(name: TypeName) -> str:
    """The file of a type's JSON Schema."""
    return f"{name}.schema.json"


@cache
def schema_of(name: TypeName) -> bytes:
    """The JSON Schema (2020-12) of a type's whole event."""
    return _read(schema_name(name))


@cache
def asyncapi() -> bytes:
    """The AsyncAPI 3.0 document of the log and of the channel of outcomes."""
    return _read(ASYNCAPI_NAME)


def _read(name: str) -> bytes:
    return files("everlog.schemas").joinpath(DIRECTORY, name).read_bytes()
