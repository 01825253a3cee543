"""What the exit code of a command says: one code for each kind of failure, whichever command met it. Pure."""

import errno
from collections.abc import Mapping
from enum import IntEnum

from ..content.errors import CidMismatch, ContentError, InvalidCid, MalformedCar, UnreadableSource, UnsupportedDag
from ..errors import (
    AddressRefused,
    BackendUnauthorized,
    BackendUnavailable,
    ContentMissing,
    DigestMismatch,
    DownloadFailed,
    DownloadStalled,
    InsufficientStorage,
    InvalidRepository,
    OriginRateLimited,
    OriginUnreachable,
    OwnerTaken,
    PinFailed,
    PinOfOthers,
    SourceNotFound,
    StoreInaccessible,
    Unauthorized,
    UnsupportedModel,
)


class ExitCode(IntEnum):
    """The codes that a command ends with by itself; one that a signal ended adds its number to 128."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    MISMATCH = 4
    UNREACHABLE = 5
    STORAGE = 6
    REFUSED = 7
    UNSUPPORTED = 8


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "a file or the system failed, as when the target is there already; or nobody reads our output any more, "
    "in silence",
    ExitCode.USAGE: "a wrong use: nothing was done",
    ExitCode.NOT_FOUND: "not found: whoever was asked answers, and has no such content, pin, repository, revision or file",
    ExitCode.MISMATCH: "a mismatch: content is there, and is not what its CID, its repository or its CAR says",
    ExitCode.UNREACHABLE: "unreachable: a backend or the hub that may have it does not answer, fails, or does not confirm",
    ExitCode.STORAGE: "storage: no room, or a store that this user can't read or write",
    ExitCode.REFUSED: "refused: another token is wanted, an address may not be asked, or a pin is somebody else's",
    ExitCode.UNSUPPORTED: "unsupported: content of a form that is not read or written here, or a file that can't be addressed",
}

# The nearest class counts: ContentMissing is a BackendUnavailable too.
_OF_CLASS: Mapping[type[BaseException], ExitCode] = {
    ContentMissing: ExitCode.NOT_FOUND,
    SourceNotFound: ExitCode.NOT_FOUND,
    FileNotFoundError: ExitCode.NOT_FOUND,
    CidMismatch: ExitCode.MISMATCH,
    DigestMismatch: ExitCode.MISMATCH,
    MalformedCar: ExitCode.MISMATCH,
    BackendUnavailable: ExitCode.UNREACHABLE,
    DownloadFailed: ExitCode.UNREACHABLE,
    DownloadStalled: ExitCode.UNREACHABLE,
    OriginRateLimited: ExitCode.UNREACHABLE,
    OriginUnreachable: ExitCode.UNREACHABLE,
    PinFailed: ExitCode.UNREACHABLE,
    InsufficientStorage: ExitCode.STORAGE,
    StoreInaccessible: ExitCode.STORAGE,
    AddressRefused: ExitCode.REFUSED,
    BackendUnauthorized: ExitCode.REFUSED,
    OwnerTaken: ExitCode.REFUSED,
    PinOfOthers: ExitCode.REFUSED,
    Unauthorized: ExitCode.REFUSED,
    InvalidCid: ExitCode.UNSUPPORTED,
    InvalidRepository: ExitCode.UNSUPPORTED,
    UnreadableSource: ExitCode.UNSUPPORTED,
    UnsupportedDag: ExitCode.UNSUPPORTED,
    UnsupportedModel: ExitCode.UNSUPPORTED,
}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def exit_code_of(error: ContentError | OSError) -> ExitCode:
    """Return the code for what ended a command."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return ExitCode.STORAGE
    return next((_OF_CLASS[kind] for kind in type(error).__mro__ if kind in _OF_CLASS), ExitCode.FAILED)
