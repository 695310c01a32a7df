"""Artifacts: what was made, by its address."""

from __future__ import annotations

from pydantic import Field

from everlog.schemas.identifiers import Identifier
from everlog.schemas.payloads.base import EXAMPLE_SHA256, Count, MediaType, Name, Payload, Sha256, Uri


class ArtifactAdded(Payload):
    """Something was made and stored elsewhere; the state lists the newest 256."""

    type_name = "everlog.artifact.added.v1"
    in_batch = True

    artifact: Identifier = Field(description="Id within the session", examples=["plan-1"])
    name: Name = Field(description="For people", examples=["plan.pdf"])
    media_type: MediaType = Field(description="RFC 6838", examples=["application/pdf"])
    size_bytes: Count = Field(description="How many bytes", examples=[48_213])
    sha256: Sha256 = Field(description="Of its bytes", examples=[EXAMPLE_SHA256])
    uri: Uri = Field(description="Where it is", examples=["s3://plans/plan-1.pdf"])
