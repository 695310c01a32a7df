"""Strategies: documents that a public model lets through or nearly does, and histories of one session."""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

from everlog.schemas.catalogue import PAYLOADS
from everlog.schemas.content import Ciphertext
from everlog.schemas.events import Event
from everlog.schemas.identifiers import full_type
from everlog.schemas.limits import SAFE_INTEGER
from everlog.schemas.payloads import InnerEvent
from support.events import value
from support.law import message, sealed

Strategy = st.SearchStrategy[Any]

TEXTS: Final = st.text(max_size=8)
"""No lone surrogates: hypothesis leaves them out."""
SCALARS: Final[Strategy] = (
    st.none()
    | st.booleans()
    | st.integers(-SAFE_INTEGER, SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
JSON: Final[Strategy] = st.recursive(
    SCALARS | st.builds(sealed, st.integers(0, 40)),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS, inside, max_size=3),
    max_leaves=6,
)
JUNK: Final[Strategy] = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        2**53,
        0.5,
        "",
        "a b",
        "é\n",
        "ada\n",
        "x" * 5000,
        [],
        {},
        [[]],
        {"enc": {}},
        [None],
        {"a": None},
    ]
) | st.builds(sealed, st.integers(0, 3))
"""Values that fit few fields."""


def of_type(annotation: Any, metadata: tuple[Any, ...] = ()) -> Strategy:
    """JSON values of a public field's type."""
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        return of_type(annotation, (*metadata, *_flat(more)))
    if annotation is JsonValue:
        return JSON
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return st.one_of([of_type(each) for each in get_args(annotation)])
    if origin is Literal:
        return st.sampled_from(get_args(annotation))
    low, high = _bounds(metadata)
    if origin is list:
        return st.lists(of_type(get_args(annotation)[0]), min_size=low or 0, max_size=3)
    if origin is dict:
        keys, values = (of_type(each) for each in get_args(annotation))
        return st.dictionaries(keys, values, max_size=3)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return of_model(annotation)
    return _of_scalar(annotation, low, high, metadata)


def _of_scalar(annotation: Any, low: int | None, high: int | None, metadata: tuple[Any, ...]) -> Strategy:
    if annotation is NoneType:
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return st.integers(low, high)
    pattern = next((each.pattern for each in metadata if hasattr(each, "pattern")), None)
    if pattern is not None:
        return st.from_regex(pattern.removesuffix("$") + r"\Z")
    return st.text(min_size=low or 0, max_size=12)


def _flat(metadata: list[Any]) -> list[Any]:
    return [inside for each in metadata for inside in (each.metadata if isinstance(each, FieldInfo) else [each])]


def _bounds(metadata: tuple[Any, ...]) -> tuple[int | None, int | None]:
    low = high = None
    for each in metadata:
        match each:
            case Ge(ge=bound) | MinLen(min_length=bound):
                low = bound
            case Gt(gt=bound):
                low = bound + 1  # type: ignore[operator]
            case Le(le=bound) | MaxLen(max_length=bound):
                high = bound
            case Lt(lt=bound):
                high = bound - 1  # type: ignore[operator]
    return low, high  # type: ignore[return-value]


def of_model(model: type[BaseModel]) -> Strategy:
    """JSON objects of a public model; what its own checks add is mostly kept."""
    if issubclass(model, Ciphertext):
        return st.builds(sealed, st.integers(0, 40)).map(lambda value: value["enc"])
    if issubclass(model, InnerEvent):
        return _inner_events()
    fields = {name: of_type(field.annotation, tuple(field.metadata)) for name, field in model.model_fields.items()}
    required = {name: fields.pop(name) for name, field in model.model_fields.items() if field.is_required()}
    return st.fixed_dictionaries(required, optional=fields)


def _inner_events() -> Strategy:
    own = data(type="org.example.thing", data=st.dictionaries(TEXTS, JSON, max_size=2))
    ours = [data(type=name, data=of_model(payload)) for name, payload in PAYLOADS.items() if payload.in_batch]
    return own | st.one_of(ours)


@cache
def documents(model: type[Event]) -> Strategy:
    """Whole events of a type, under rules 1."""
    return of_model(model).map(lambda document: {**document, "specversion": "1.0", "rules": 1})


@st.composite
def nearly(draw: st.DrawFn, model: type[Event]) -> Any:
    """Whole events of a type, of which one value somewhere was replaced or taken out."""
    document = draw(documents(model))
    place = document
    while True:
        name = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if isinstance(place[name], dict | list) and place[name] and draw(st.booleans()):
            place = place[name]
        elif draw(st.integers(0, 3)):
            place[name] = draw(JUNK)
            return document
        else:
            del place[name]
            return document


# A history: few names, few ids, few numbers, so that events meet each other.
NAMES: Final = st.sampled_from(["ada", "bob", "bot"])
ACTORS: Final = st.sampled_from(["ada"] * 5 + ["bob", "bob", "bot", "bot", "eve", "system:x"])
NUMBERS: Final = st.integers(1, 9)
THINGS: Final = st.sampled_from(["x", "y"])
KEYS: Final = st.sampled_from(["k1", "k2", "é"])
PATCHES: Final = st.fixed_dictionaries(
    {},
    optional={
        "set": st.dictionaries(KEYS, st.sampled_from([1, "text", None, sealed(5)]), max_size=2),
        "unset": st.lists(KEYS, max_size=2),
        "expected_keys": st.dictionaries(KEYS, st.integers(0, 5), max_size=1),
    },
)


def data(**fields: Any) -> Strategy:
    """An object of some fields, each a strategy or a plain value."""
    each = {name: field if isinstance(field, st.SearchStrategy) else st.just(field) for name, field in fields.items()}
    return st.fixed_dictionaries(each)


BATCHED: Final[dict[str, Strategy]] = {
    "message.appended": st.builds(message, st.sampled_from(["hi", "ho"])),
    "message.redacted": data(version=NUMBERS),
    "state.patched": PATCHES,
    "run.started": data(run=THINGS, agent="a"),
    "run.completed": data(run=THINGS, usage=data(input_tokens=NUMBERS)),
    "tool_call.requested": data(tool_call=THINGS, name="n"),
    "tool_call.completed": data(tool_call=THINGS, parts=sealed(5)),
    "interrupt.raised": data(interrupt=THINGS, reason="r", message="m"),
    "interrupt.resolved": data(interrupt=THINGS, status="resolved"),
    "session.metadata_updated": data(labels=st.dictionaries(KEYS.filter(str.isascii), st.none() | TEXTS, max_size=2)),
    "history.compacted": data(from_version=1, to_version=NUMBERS, parts=sealed(5)),
    "org.example.thing": data(a=st.sampled_from([None, 0.5, "text", {"b": [1]}])),
}
ALONE: Final[dict[str, Strategy]] = {
    "session.created": data(owner="ada", title=st.sampled_from(["one", "two"])),
    "session.suspended": data(),
    "session.resumed": data(),
    "session.closed": data(),
    "session.reopened": data(),
    "session.rewound": data(to_version=NUMBERS, state=st.dictionaries(KEYS, NUMBERS, max_size=2)),
    "participant.joined": data(
        participant=NAMES,
        principal="p",
        kind=st.sampled_from(["human", "agent"]),
        role=st.sampled_from(["owner", "editor", "viewer"]),
    ),
    "participant.left": data(participant=NAMES),
    "participant.role_changed": data(participant=NAMES, role=st.sampled_from(["editor", "viewer"])),
    "lease.acquired": data(participant=NAMES, ttl_s=30, supersedes=st.integers(0, 9)),
    "lease.released": data(participant=NAMES, epoch=NUMBERS),
    "lease.revoked": data(participant=NAMES, epoch=NUMBERS),
    "batch.appended": data(
        events=st.lists(
            st.one_of([data(type=full_type(name), data=each) for name, each in BATCHED.items()]),
            min_size=1,
            max_size=3,
        )
    ),
}


SELDOM: Final = st.sampled_from([False] * 5 + [True])
OFTEN: Final = [*BATCHED, *BATCHED, *ALONE, *["session.resumed", "session.reopened", "lease.acquired"] * 2, "garbage"]
"""Types, each as often as it is proposed: a session should mostly be awake."""


@st.composite
def proposals(draw: st.DrawFn) -> bytes:
    """A record's value: an event that may or may not be accepted, or now and then none at all."""
    type_name = draw(st.sampled_from(OFTEN))
    if type_name == "garbage":
        return draw(st.binary(max_size=20))
    attributes: dict[str, Any] = {"actor": draw(ACTORS)}
    if draw(SELDOM):
        attributes["id"] = f"id-{draw(NUMBERS)}"
    if draw(SELDOM):
        attributes["leaseepoch"] = draw(NUMBERS)
    if draw(SELDOM) or type_name == "session.rewound":
        attributes["expectedversion"] = draw(NUMBERS)
    return value(type_name, draw({**BATCHED, **ALONE}[type_name]), **attributes)


CREATION: Final = {
    "owner": "ada",
    "state": {"k1": 0},
    "participants": [
        {"participant": "bob", "principal": "p", "kind": "human"},
        {"participant": "bot", "principal": "p", "kind": "agent"},
    ],
}


@st.composite
def histories(draw: st.DrawFn) -> list[bytes]:
    """The values of a session's records; most begin with its creation, some end with its erasure."""
    proposed = draw(st.lists(proposals(), min_size=draw(st.sampled_from([0, 5, 20, 30])), max_size=40))
    if not draw(SELDOM):
        proposed.insert(0, value("session.created", CREATION))
    if draw(SELDOM):
        proposed.append(value("session.erased", {"reason": "asked", "requested_by": "ada"}, actor="system:x"))
    return proposed
