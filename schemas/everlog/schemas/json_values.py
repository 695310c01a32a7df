"""Free JSON on the log: what every reader in every language keeps (RFC 7493, RFC 8785)."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Final

from pydantic import AfterValidator, JsonValue

from everlog.schemas.limits import JSON_DEPTH, SAFE_INTEGER

_FIRST_ABOVE_SURROGATES: Final = "\ue000"
_FIRST_WITH_EXPONENT: Final = 1e21
"""Below it RFC 8785 writes a whole number as digits alone, which a reader takes for an integer."""


class NotInteroperableError(ValueError):
    """JSON that not every reader keeps: an unsafe integer, a number that is none, too deep nesting."""


def is_plain(value: Any, depth: int = JSON_DEPTH) -> bool:
    """Whether sorting keys by code points and writing integers is all that RFC 8785 asks of a JSON value.

    It is not for floats (their text follows ECMAScript) and for keys with characters from U+E000 on (RFC 8785
    sorts by UTF-16 units). Raises ``NotInteroperableError`` for an integer outside the safe range, also where it is
    written as a float that RFC 8785 turns into digits, for infinity, NaN, or nesting deeper than ``depth``.
    """
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return True
    if isinstance(value, int):
        if not -SAFE_INTEGER <= value <= SAFE_INTEGER:
            raise NotInteroperableError("an integer is outside the range that every JSON reader keeps")
        return True
    if isinstance(value, float):
        if not isfinite(value):
            raise NotInteroperableError("a number is not finite")
        if SAFE_INTEGER < abs(value) < _FIRST_WITH_EXPONENT:
            raise NotInteroperableError("an integer is outside the range that every JSON reader keeps")
        return False
    if depth <= 0:
        raise NotInteroperableError(f"nested deeper than {JSON_DEPTH}")
    if isinstance(value, dict):
        plain = all(key.isascii() or max(key) < _FIRST_ABOVE_SURROGATES for key in value)
        return all([is_plain(item, depth - 1) for item in value.values()]) and plain  # noqa: C419 (visit all)
    return all([is_plain(item, depth - 1) for item in value])  # noqa: C419 (visit all)


def _keep(value: JsonValue) -> JsonValue:
    is_plain(value)
    return value


def _keep_object(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    is_plain(value)
    return value


Json = Annotated[JsonValue, AfterValidator(_keep)]
"""Any JSON value that every reader keeps."""
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_keep_object)]
"""A JSON object that every reader keeps."""
