"""S3 through boto3: the object store of the archive."""

from everlog.adapters.s3.probe import probe_object_store
from everlog.adapters.s3.store import S3ObjectStore

__all__ = ["S3ObjectStore", "probe_object_store"]
