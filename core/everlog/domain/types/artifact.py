"""Artifacts: what was made, by its address."""

from __future__ import annotations

from everlog.domain.event import Payload
from everlog.domain.types.fields import Count, Identifier, MediaType, Name, Sha256, Uri
from everlog.domain.view import Artifact, View
from everlog.schemas.limits import ARTIFACTS


class ArtifactAdded(Payload, frozen=True):
    """Something was made and stored elsewhere."""

    artifact: Identifier
    name: Name
    media_type: MediaType
    size_bytes: Count
    sha256: Sha256
    uri: Uri

    def show(self, view: View, version: int) -> None:
        """Listed; the oldest leaves when there are too many."""
        view.artifacts.append(
            Artifact(self.artifact, self.name, self.media_type, self.size_bytes, self.sha256, self.uri, version)
        )
        del view.artifacts[:-ARTIFACTS]
