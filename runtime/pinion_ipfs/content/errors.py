"""The root of the package's error tree, and what content addressing itself can refuse."""

from typing import ClassVar


class ContentError(Exception):
    """Something went wrong with content; `reason` names it for machines, `retryable` says whether another try can help."""

    reason: ClassVar[str] = "DownloadFailed"
    retryable: ClassVar[bool] = False


class InvalidCid(ContentError, ValueError):
    """A text or byte string that is no CID at all."""

    reason = "InvalidConfig"


class UnsupportedDag(ContentError):
    """A well-addressed DAG, directory or hash that is outside the profile; the message names the place and the rule."""

    reason = "UnsupportedDag"


class CidMismatch(ContentError):
    """Bytes whose address is not the one they were asked for by; `what` names them (a file, a block, a snapshot)."""

    reason = "CIDMismatch"

    def __init__(self, what: str, *, expected: object, actual: object) -> None:
        super().__init__(f"{what}: expected {expected}, got {actual}")
        self.what, self.expected, self.actual = what, str(expected), str(actual)


class BlockMismatch(CidMismatch):
    """One block that does not hash to its CID: its source is wrong or broken, another may be right."""

    retryable = True


class MalformedCar(ContentError):
    """A CAR stream that breaks the format or is not the walk it should be: its source is at fault, another may be right."""

    retryable = True


class TruncatedCar(MalformedCar):
    """A CAR stream that ended before the DAG was whole."""


class UnreadableSource(ContentError):
    """A local file or directory that can't be addressed: of a wrong type, a link loop, changed while it was read."""

    reason = "InvalidConfig"
