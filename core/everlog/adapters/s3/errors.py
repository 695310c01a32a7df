"""boto3's errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from everlog.schemas.errors import UnavailableError

_DEPENDENCY = "the object store"
_CREDENTIALS = "Check the access key, the secret key and the bucket policy"
_HINTS = {
    "NoSuchBucket": "Create the bucket with: everlog init",
    "AccessDenied": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "403": _CREDENTIALS,
    "RequestTimeTooSkewed": "Set this machine's clock",
}


def error_code(error: ClientError) -> str:
    """The code of S3's answer; for a HEAD, which has no body, the HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status(error: ClientError) -> int:
    """The HTTP status of S3's answer."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_missing(error: ClientError) -> bool:
    """No such key (which is an answer), and not: no such bucket."""
    return status(error) == 404 and error_code(error) != "NoSuchBucket"


def is_refused(error: ClientError) -> bool:
    """The condition of a conditional write did not hold (412), or it met another write at the same moment (409)."""
    return status(error) in {409, 412}


@contextmanager
def translated(endpoint: str) -> Iterator[None]:
    """Turn what the driver raises into ``UnavailableError`` with a hint."""
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        raise UnavailableError(
            _DEPENDENCY, f"{endpoint} answered {status(error)} {code}", hint=_HINTS.get(code, "")
        ) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise UnavailableError(_DEPENDENCY, "no credentials were found", hint=_CREDENTIALS) from error
    except (BotoCoreError, OSError) as error:
        raise UnavailableError(
            _DEPENDENCY, f"{endpoint}: {type(error).__name__}", hint="Check the endpoint's address and that it runs"
        ) from error
