"""The one error tree of Everlog.

Every failure that a caller can meet is one of these; expected outcomes of the law (an event that is rejected)
are values in ``everlog.domain``, and become errors only at the SDK.

    EverlogError
    ├── UsageError                 the caller's input or a setting is wrong
    │   ├── InvalidEventError          an event is not of its type's form
    │   ├── LimitExceededError         too large; names the limit and the actual size
    │   └── ConfigurationError         settings, all wrong ones at once
    ├── UnavailableError           a dependency does not answer; try later
    │   ├── UnknownOutcomeError        it was asked to write and may have done so
    │   └── RateLimitedError           too many requests at once; nothing was done
    ├── NotFoundError              no such session, event or object
    ├── ConflictError              the session or object is not as expected
    │   ├── AlreadyExistsError
    │   ├── VersionConflictError
    │   ├── KeyConflictError
    │   ├── FencedError
    │   ├── LeaseHeldError             the lease is held; names its epoch
    │   ├── FencedWriterError          another process took over an archive
    │   ├── ClosedError / DormantError / ErasedError
    │   ├── UnknownReferenceError / IdempotencyKeyReusedError / RetryExpiredError
    │   └── RejectedError              any other verdict of the law
    ├── DeniedError                not allowed
    │   ├── UnauthenticatedError
    │   └── ForbiddenError
    ├── ParkedError                the session waits for an operator
    └── IntegrityError             stored data is not what it must be; nothing was trimmed or overwritten
        ├── ArchiveDamagedError        bytes of the archive fail their proof
        ├── LogLostError               the log is not the one that was projected or archived
        ├── ControlLostError           the control database is empty, although the log or the views are not
        └── OffsetTrimmedError         the log no longer holds an offset: read the archive
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class EverlogError(Exception):
    """Base of every error of Everlog.

    ``retryable`` says whether the same call may succeed later; ``hint`` says what a person should do;
    ``exit_code`` is what the command line ends with.
    """

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1
    hint: str = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        if hint:
            self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}".rstrip() if self.hint else self.message


class UsageError(EverlogError):
    """The caller's input or a setting is wrong."""

    exit_code = 2


class InvalidEventError(UsageError):
    """An event is not of its type's form; ``errors`` names each wrong field."""

    def __init__(self, message: str, *, errors: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.errors = errors


class LimitExceededError(UsageError):
    """Something is larger than its limit; names the limit, its value and the actual size.

    Where the law refused an event, only the limit is known: ``maximum`` and ``actual`` are None.
    """

    def __init__(self, limit: str, *, maximum: int | None = None, actual: int | None = None) -> None:
        sizes = f"{limit} is limited to {maximum}, this has {actual}"
        super().__init__(
            sizes if maximum is not None else f"the session would pass its limit of {limit}",
            hint="Make it smaller, split it, or store large content in an object store and name its address",
        )
        self.limit, self.maximum, self.actual = limit, maximum, actual


class ConfigurationError(UsageError):
    """One or more settings are wrong; the message lists all of them."""


class UnavailableError(EverlogError):
    """A dependency does not answer within the deadline.

    ``retry_after_s`` is when a retry makes sense, seconds.
    """

    retryable = True
    exit_code = 69

    def __init__(self, dependency: str, detail: str, *, retry_after_s: float = 1.0, hint: str = "") -> None:
        super().__init__(f"{dependency} is unavailable: {detail}", hint=hint)
        self.dependency, self.retry_after_s = dependency, retry_after_s


class UnknownOutcomeError(UnavailableError):
    """A write was handed over and not acknowledged: it may land now, later or never.

    The same write may be repeated, with the same event id.
    """


class RateLimitedError(UnavailableError):
    """Too many requests: nothing was done, and the same request may be sent again after ``retry_after_s``."""

    exit_code = 75


class NotFoundError(EverlogError):
    """There is no such session, event or object."""

    exit_code = 3


class ConflictError(EverlogError):
    """The session or object is not as the caller expected."""

    exit_code = 4


class AlreadyExistsError(ConflictError):
    """A session of this id exists and was created otherwise."""


class VersionConflictError(ConflictError):
    """The session is not at the expected version; ``actual_version`` is what it has, ``events`` what came in between.

    ``events`` holds the first of them only, at most 100.
    """

    def __init__(
        self, message: str, *, actual_version: int, events: Sequence[Mapping[str, Any]] = (), hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint or "Read the session again, then decide whether the change still fits")
        self.actual_version, self.events = actual_version, events


class KeyConflictError(ConflictError):
    """State keys are not at the expected versions; ``keys`` names them, ``events`` came in between."""

    def __init__(
        self, message: str, *, keys: tuple[str, ...], actual_version: int, events: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message, hint="Read the keys again, then decide whether the change still fits")
        self.keys, self.actual_version, self.events = keys, actual_version, events


class FencedError(ConflictError):
    """The writer's lease epoch is not the one that is held."""


class LeaseHeldError(ConflictError):
    """The lease is held under ``epoch``: by another process of the same participant, or by one that died just now.

    ``epoch`` is 0 where it is not known.
    """

    retryable = True

    def __init__(self, message: str, *, epoch: int = 0) -> None:
        super().__init__(message, hint="Wait until it lapses, or take it over where its holder is known to be dead")
        self.epoch = epoch


class FencedWriterError(ConflictError):
    """Another writer took over a partition's archive; this one must stop writing it."""


class ClosedError(ConflictError):
    """The session is closed."""


class DormantError(ConflictError):
    """The session is suspended; resume it first."""


class ErasedError(ConflictError):
    """The session was erased: its content is gone for ever, and nothing can be appended to it."""


class UnknownReferenceError(ConflictError):
    """The event names something that is not open, present or reached yet."""


class IdempotencyKeyReusedError(ConflictError):
    """The event id was used before with other content."""


class RetryExpiredError(ConflictError):
    """Too much happened since the first try to know its outcome from the ring; look in the timeline."""


class RejectedError(ConflictError):
    """The law rejected the event; ``reason`` is its verdict."""

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class DeniedError(EverlogError):
    """The caller is not allowed to do this."""

    exit_code = 5


class UnauthenticatedError(DeniedError):
    """No token, or one that is not valid."""


class ForbiddenError(DeniedError):
    """A valid token, but not for this."""


class ParkedError(EverlogError):
    """The session is parked at an event whose fold failed; ``version`` is the last good one, 0 where there is none.

    ``reason`` is the type of what was raised; ``partition`` and ``offset`` say where the event lies.
    """

    retryable = True
    exit_code = 75

    def __init__(self, message: str, *, version: int, reason: str = "", partition: int = 0, offset: int = 0) -> None:
        super().__init__(message, hint="An operator can continue it with: everlog projection redrive")
        self.version, self.reason, self.partition, self.offset = version, reason, partition, offset


class IntegrityError(EverlogError):
    """Stored data is not what it must be; nothing was trimmed or overwritten."""


class ArchiveDamagedError(IntegrityError):
    """Bytes of the archive fail their proof; names the object."""


class LogLostError(IntegrityError):
    """The log is not the one that was projected or archived (another cluster, topic, era or partition count)."""

    exit_code = 4


class ControlLostError(IntegrityError):
    """The control database remembers nothing, although the log or the views are filled: it was lost or is another."""

    exit_code = 4


class OffsetTrimmedError(IntegrityError):
    """The log no longer holds ``offset`` of ``partition``; it starts at ``start``: read the archive."""

    retryable = True

    def __init__(self, partition: int, offset: int, start: int) -> None:
        super().__init__(f"partition {partition} starts at offset {start}, offset {offset} was trimmed")
        self.partition, self.offset, self.start = partition, offset, start
