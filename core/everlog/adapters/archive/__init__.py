"""The archive in an object store: manifests are published, segments written, read and searched."""

from everlog.adapters.archive.manifests import Claim, ManifestStore
from everlog.adapters.archive.segments import SegmentStore

__all__ = ["Claim", "ManifestStore", "SegmentStore"]
