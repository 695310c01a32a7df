"""S3 through boto3: the object store of the archive."""

from everlog.adapters.s3.probe import probe_object_store
from everlog.adapters.s3.settings import S3Settings
from everlog.adapters.s3.store import S3ObjectStore

__all__ = ["S3ObjectStore", "S3Settings", "probe_object_store"]
