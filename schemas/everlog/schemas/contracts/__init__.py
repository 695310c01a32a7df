"""The contracts that are generated from the classes and committed: pure functions, written by ``make generate``."""

from __future__ import annotations

import json
from typing import Any, Final

from everlog.schemas.catalogue import TYPE_NAMES
from everlog.schemas.contracts.asyncapi import asyncapi_document
from everlog.schemas.contracts.json_schema import event_schema
from everlog.schemas.contracts.reference import reference_page
from everlog.schemas.published import ASYNCAPI_NAME, DIRECTORY, schema_name

PACKAGE_DATA: Final = f"schemas/everlog/schemas/{DIRECTORY}"
REFERENCE_PAGE: Final = "docs/reference/events.md"


def generated_files() -> dict[str, str]:
    """Every generated file: its path from the root of the repository, and its text."""
    documents = {schema_name(name): event_schema(name) for name in TYPE_NAMES} | {ASYNCAPI_NAME: asyncapi_document()}
    files = {f"{PACKAGE_DATA}/{name}": _json_text(document) for name, document in documents.items()}
    return files | {REFERENCE_PAGE: reference_page()}


def _json_text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
