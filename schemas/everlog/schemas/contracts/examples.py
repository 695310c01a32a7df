"""An example event of each type, put together from the examples of its fields."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from everlog.schemas.catalogue import PAYLOADS, TypeName
from everlog.schemas.events import EVENTS


def example_event(name: TypeName) -> dict[str, Any]:
    """A whole event: the envelope with what must be given, and every field of the payload.

    Raises ``LookupError`` for a field that has no example.
    """
    fields = EVENTS[name].model_fields
    own = {"type": name, "data": example_of(PAYLOADS[name])}
    return {
        attribute: own.get(attribute) or _example(attribute, field)
        for attribute, field in fields.items()
        if field.is_required()
    }


def example_of(model: type[BaseModel]) -> dict[str, Any]:
    """A value with all fields of a model. Raises ``LookupError`` for a field that has no example."""
    return {name: _example(f"{model.__name__}.{name}", field) for name, field in model.model_fields.items()}


def _example(name: str, field: FieldInfo) -> Any:
    if field.examples:
        return field.examples[0]
    model = _model(field.annotation)
    if model is None:
        raise LookupError(f"{name} has no example")
    value = example_of(model)
    return [value] if _is_list(field.annotation) else value


def _is_list(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is list


def _model(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is made of: itself, optional, or a list of it."""
    candidates = [annotation, *get_args(annotation)]
    models = [each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)]
    return models[0] if models else None
