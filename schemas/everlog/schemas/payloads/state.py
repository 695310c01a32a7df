"""The state document changes by top-level key."""

from __future__ import annotations

from pydantic import Field

from everlog.schemas import limits
from everlog.schemas.payloads.base import KeyVersion, Payload, StateKey, StateValues


class StatePatched(Payload):
    """Keys of the state document change: ``unset`` removes, then ``set`` replaces."""

    type_name = "everlog.state.patched.v1"
    in_batch = True

    set: StateValues = Field(default_factory=dict, description="New values by key", examples=[{"city": "Rome"}])
    unset: list[StateKey] = Field(
        default_factory=list, max_length=limits.STATE_KEYS, description="Keys to remove", examples=[["draft"]]
    )
    expected_keys: dict[StateKey, KeyVersion] = Field(
        default_factory=dict,
        max_length=limits.STATE_KEYS,
        description="Versions these keys must have; 0 = absent",
        examples=[{"city": 3}],
    )
