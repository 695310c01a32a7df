"""Writes the generated contracts: JSON Schemas, the AsyncAPI document, the pages of events and roles.

With ``--freeze`` it adds new types to the list of frozen shapes instead; a type that is there is never changed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from everlog.gateway.reference import ROLES_PAGE, roles_page
from everlog.schemas.catalogue import TYPE_NAMES
from everlog.schemas.contracts import PACKAGE_DATA, generated_files
from everlog.schemas.contracts.json_schema import event_schema, shape_digest

ROOT = Path(__file__).parents[1]
FROZEN = ROOT / "tests/unit/schemas/frozen_schemas.json"


def generate() -> None:
    """Write every generated file, and remove those that are generated no more."""
    files = {ROOT / name: text for name, text in (generated_files() | {ROLES_PAGE: roles_page()}).items()}
    for path in set((ROOT / PACKAGE_DATA).glob("*.json")) - set(files):
        path.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def freeze() -> None:
    """Add the shapes of new types to the frozen list."""
    frozen = json.loads(FROZEN.read_text(encoding="utf-8")) if FROZEN.exists() else {}
    shapes = {name: shape_digest(event_schema(name)) for name in TYPE_NAMES}
    FROZEN.write_text(json.dumps(shapes | frozen, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    freeze() if "--freeze" in sys.argv[1:] else generate()
