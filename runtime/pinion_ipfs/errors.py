"""The errors of the package: one tree below ContentError, each with the `reason` a runtime pod publishes."""

from collections.abc import Mapping
from typing import Any, Self

from .content.errors import (
    BlockMismatch,
    CidMismatch,
    ContentError,
    InvalidCid,
    MalformedCar,
    TruncatedCar,
    UnreadableSource,
    UnsupportedDag,
)

__all__ = [
    "AddressRefused",
    "BackendBusy",
    "BackendUnauthorized",
    "BackendUnavailable",
    "BlockMismatch",
    "CidMismatch",
    "ContentError",
    "ContentMissing",
    "DigestMismatch",
    "DownloadFailed",
    "DownloadStalled",
    "InsufficientStorage",
    "InvalidCid",
    "InvalidRepository",
    "MalformedCar",
    "NoAnswer",
    "OriginRateLimited",
    "OriginUnreachable",
    "OwnerTaken",
    "PinFailed",
    "PinOfOthers",
    "ReplicationFailed",
    "SourceNotFound",
    "StorageFilled",
    "StoreCorrupted",
    "StoreInaccessible",
    "TokenRefused",
    "TruncatedCar",
    "Unauthorized",
    "UnreadableSource",
    "UnsupportedDag",
    "UnsupportedModel",
    "from_report",
]


class SourceNotFound(ContentError):
    """The hub has no such repository, revision or file, or hides it from this token."""

    reason = "SourceNotFound"


class Unauthorized(ContentError):
    """The hub has it and does not give it to this token."""

    reason = "Unauthorized"


class TokenRefused(Unauthorized):
    """We do not send the token there: its Secret does not name the host. Nothing was asked; the Secret may come to name it."""

    retryable = True


class OriginRateLimited(ContentError):
    """The hub answered 429; `retry_after` is what it asked for, in seconds, or None."""

    reason = "OriginRateLimited"
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OriginUnreachable(ContentError):
    """The hub does not answer, or answers 5xx."""

    reason = "OriginUnreachable"
    retryable = True


class NoAnswer(OriginUnreachable):
    """A hub that somebody else chose has no answer, or may not be asked: which of them, only the log is told (`cause`)."""

    def __init__(self, message: str, *, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class DownloadFailed(ContentError):
    """A download ended without the file, for no reason that has a name of its own."""

    reason = "DownloadFailed"
    retryable = True


class DownloadStalled(ContentError):
    """No byte came for the whole stall timeout; the download was killed."""

    reason = "DownloadStalled"
    retryable = True


class DigestMismatch(ContentError):
    """A file is not what the hub announced, or a listing is not the one that was asked for.

    `source` is who delivered it ('' for a listing), `path` the file, `block` the index of the wrong leaf where that is known.
    """

    reason = "DigestMismatch"
    leaves: tuple[bytes, ...] = ()  # of what came, where it was hashed: against the right ones they show which is wrong

    def __init__(self, message: str, *, source: str = "", path: str = "", block: int | None = None) -> None:
        super().__init__(message)
        self.source, self.path, self.block = source, path, block


class StoreCorrupted(DigestMismatch):
    """Blobs on disk no longer match their address; they were taken out, and fetching again repairs the store.

    `places` holds (path, index of the first wrong leaf or None) for each of `paths`; `path` and `block` are the first of them.
    """

    retryable = True

    def __init__(self, message: str, *, paths: tuple[str, ...], places: tuple[tuple[str, int | None], ...] = ()) -> None:
        self.places = places or tuple((path, None) for path in paths)
        path, block = self.places[0] if self.places else ("", None)
        super().__init__(message, source="store", path=path, block=block)
        self.paths = paths


class InsufficientStorage(ContentError):
    """The model does not fit; both numbers are in bytes."""

    reason = "InsufficientStorage"

    def __init__(self, message: str, *, needed_bytes: int, available_bytes: int) -> None:
        super().__init__(f"{message}: needs {needed_bytes} bytes, {available_bytes} are available")
        self.needed_bytes = needed_bytes
        self.available_bytes = available_bytes

    @classmethod
    def told(cls, message: str, needed_bytes: int, available_bytes: int) -> Self:
        """Return the error with a message that another process has made whole already."""
        error = cls("", needed_bytes=needed_bytes, available_bytes=available_bytes)
        error.args = (message,)
        return error


class StorageFilled(InsufficientStorage):
    """The volume became full on the way, by whomever; the fetch goes on when there is room again."""

    retryable = True


class UnsupportedModel(ContentError):
    """The list of files shows that no engine of ours can load this: nothing is fetched."""

    reason = "UnsupportedModel"


class StoreInaccessible(ContentError):
    """A file of the store can't be read or written by this user, or lies on a volume that is mounted read-only."""

    reason = "InvalidConfig"


class BackendUnavailable(ContentError):
    """A backend, or every backend that could have answered, does not.

    Of an answer over HTTP that was an error `status` is its code, and `body` how it began.
    """

    reason = "BackendUnavailable"
    retryable = True
    status: int = 0
    body: bytes = b""


class ContentMissing(BackendUnavailable):
    """A backend answers, and does not have the content."""


class BackendUnauthorized(BackendUnavailable):
    """A backend answers, and wants another token, or one at all."""


class BackendBusy(BackendUnavailable):
    """A backend is slow because of work that we gave it: no sign that it is dead."""


class AddressRefused(BackendUnavailable):
    """A URL that somebody else wrote is no plain URL of a host."""

    reason = "InvalidConfig"
    retryable = False


class PinFailed(ContentError):
    """A backend took the content but did not confirm that it is whole and pinned."""

    reason = "PinFailed"
    retryable = True


class OwnerTaken(ContentError):
    """An owner, who has one pin at a time, has another model pinned already."""

    reason = "OwnerTaken"


class PinOfOthers(ContentError):
    """A pin was made by somebody else, and stays."""

    reason = "PinOfOthers"


class ReplicationFailed(PinFailed):
    """Fewer backends keep a copy than were to; `pinned_in` names those that this call has pinned it in, where it stays."""

    def __init__(self, message: str, *, pinned_in: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.pinned_in = pinned_in


class InvalidRepository(ContentError, ValueError):
    """A text that can't be a repository or a commit."""

    reason = "InvalidConfig"


def from_report(name: str, message: str, details: Mapping[str, Any]) -> ContentError:
    """Rebuild an error that a child process reported by its class name; an unknown name is a DownloadFailed."""
    match name:
        case "SourceNotFound":
            return SourceNotFound(message)
        case "Unauthorized":
            return Unauthorized(message)
        case "OriginRateLimited":
            return OriginRateLimited(message, retry_after=details.get("retry_after"))
        case "OriginUnreachable":
            return OriginUnreachable(message)
        case "NoAnswer":
            return NoAnswer(message, cause=str(details.get("cause", "")))
        case "DownloadStalled":
            return DownloadStalled(message)
        case "DigestMismatch":
            return DigestMismatch(message, source=details.get("source", ""), path=details.get("path", ""))
        case "AddressRefused":
            return AddressRefused(message)
        case "UnsupportedDag":
            return UnsupportedDag(message)
        case "StorageFilled":
            return StorageFilled.told(message, int(details["needed_bytes"]), int(details["available_bytes"]))
        case "DownloadFailed":
            return DownloadFailed(message)
    return DownloadFailed(f"{name}: {message}")
