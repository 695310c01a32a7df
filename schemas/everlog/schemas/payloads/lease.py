"""Leases: a participant's right to write, fenced by an epoch."""

from __future__ import annotations

from pydantic import Field

from everlog.schemas.identifiers import Identifier
from everlog.schemas.limits import LEASE_TTL_S
from everlog.schemas.payloads.base import KeyVersion, Payload, Text, Version


class LeaseAcquired(Payload):
    """A participant takes its lease; the epoch is the version that this event makes."""

    type_name = "everlog.lease.acquired.v1"

    participant: Identifier = Field(description="Whose lease", examples=["planner"])
    ttl_s: int = Field(
        ge=1, le=LEASE_TTL_S, description="Seconds without a heartbeat after which it lapses", examples=[30]
    )
    supersedes: KeyVersion = Field(default=0, description="Epoch that was seen dead; 0 = none", examples=[0])


class LeaseReleased(Payload):
    """A participant gives its lease back."""

    type_name = "everlog.lease.released.v1"

    participant: Identifier = Field(description="Whose lease", examples=["planner"])
    epoch: Version = Field(description="The epoch that is given back", examples=[4])
    reason: Text | None = Field(default=None, description="Why, for people", examples=["done"])


class LeaseRevoked(Payload):
    """A lease is taken away: what its holder left open is abandoned."""

    type_name = "everlog.lease.revoked.v1"

    participant: Identifier = Field(description="Whose lease", examples=["planner"])
    epoch: Version = Field(description="The epoch that is taken away", examples=[4])
    reason: Text | None = Field(default=None, description="Why, for people", examples=["no heartbeat"])
