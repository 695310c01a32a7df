"""What all payloads share: the base class and the fields that several of them have."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BaseModel, Field, model_validator

from everlog.schemas import limits
from everlog.schemas.content import MODEL, Clear, Content, Either, Sealed
from everlog.schemas.identifiers import Identifier
from everlog.schemas.json_values import Json


class Payload(BaseModel):
    """Base of all payloads: frozen, strict, no unknown fields."""

    model_config = MODEL

    type_name: ClassVar[str]
    rules: ClassVar[int] = 1
    """Number of the rules that the type belongs to."""
    in_batch: ClassVar[bool] = False
    """Whether a batch may hold it."""
    needs_expected_version: ClassVar[bool] = False
    """Whether its envelope must name the version that the session must have."""


Version = Annotated[int, Field(ge=1, le=limits.SAFE_INTEGER)]
KeyVersion = Annotated[int, Field(ge=0, le=limits.SAFE_INTEGER)]
Count = Annotated[int, Field(ge=0, le=limits.SAFE_INTEGER)]
BatchIndex = Annotated[int, Field(ge=0, lt=limits.BATCH_EVENTS)]
Text = Annotated[str, Field(max_length=limits.TEXT_CHARACTERS)]
Name = Annotated[str, Field(min_length=1, max_length=limits.NAME_CHARACTERS)]
Uri = Annotated[str, Field(min_length=1, max_length=limits.URI_CHARACTERS)]
MediaType = Annotated[str, Field(min_length=1, max_length=128)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

Title = Annotated[Annotated[str, Field(max_length=limits.TITLE_CHARACTERS), Clear] | Sealed, Either, Content]
LabelValue = Annotated[Annotated[str, Field(max_length=limits.LABEL_VALUE_CHARACTERS), Clear] | Sealed, Either, Content]
Labels = Annotated[dict[Identifier, LabelValue], Field(max_length=limits.LABELS)]
StateKey = Annotated[str, Field(min_length=1, max_length=limits.STATE_KEY_CHARACTERS)]
ContentJson = Annotated[Json, Content]
"""Any JSON; an object of exactly the encrypted form counts as encrypted."""
StateValues = Annotated[dict[StateKey, ContentJson], Field(max_length=limits.STATE_KEYS)]
ContentText = Annotated[Annotated[Text, Clear] | Sealed, Either, Content]

EXAMPLE_SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
"""Of the bytes ``test``."""

ParticipantKind = Literal["human", "agent", "service"]
ParticipantRole = Literal["owner", "editor", "viewer", "analyst"]


class Part(BaseModel):
    """One part of a message: text, reasoning, a file by its address, or JSON data."""

    model_config = MODEL

    type: Literal["text", "file", "data", "reasoning"] = Field(
        description="Which of the fields below it has", examples=["text"]
    )
    text: str | None = Field(default=None, description="Of text and reasoning", examples=["Hello"])
    uri: Uri | None = Field(default=None, description="Of a file: where it is", examples=["s3://plans/plan-1.pdf"])
    sha256: Sha256 | None = Field(default=None, description="Of a file's bytes", examples=[EXAMPLE_SHA256])
    size_bytes: Count | None = Field(default=None, description="Of a file: how many bytes", examples=[48_213])
    media_type: MediaType | None = Field(default=None, description="Of a file or data", examples=["application/pdf"])
    data: Json = Field(default=None, description="Of data: any JSON but null", examples=[{"hotels": 3}])


Parts = Annotated[Annotated[list[Part], Field(min_length=1, max_length=limits.PARTS), Clear] | Sealed, Either, Content]


class Problem(BaseModel):
    """Why something failed."""

    model_config = MODEL

    type: Name = Field(description="Kind of error", examples=["timeout"])
    code: Name | None = Field(default=None, description="Code of the failing system", examples=["504"])
    message: ContentText = Field(description="For people", examples=["The search took too long"])
    retryable: bool = Field(default=False, description="Whether trying again may help", examples=[True])


class Summary(BaseModel):
    """What a model sees instead of versions ``from_version`` to ``to_version``; the log is untouched."""

    model_config = MODEL

    from_version: Version = Field(description="First version that it covers", examples=[2])
    to_version: Version = Field(description="Last version that it covers", examples=[41])
    parts: Parts = Field(description="The summary", examples=[[{"type": "text", "text": "They chose Rome."}]])
    model: Name | None = Field(default=None, description="Who wrote it", examples=["summariser-2"])

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_version > self.to_version:
            raise ValueError("from_version is above to_version")
        return self
