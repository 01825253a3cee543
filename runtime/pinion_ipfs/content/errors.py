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
    """One block that does not hash to its CID: its source is wrong or broken, another may be right.

    `source` is who delivered it, `path` the file that it belongs to ('' when it belongs to none, or the root is a file), and
    `block` the index of the leaf in that file; None for another node, or when it is not known.
    """

    retryable = True

    def __init__(
        self, what: str, *, expected: object, actual: object, source: str = "", path: str = "", block: int | None = None
    ) -> None:
        super().__init__(what, expected=expected, actual=actual)
        self.source, self.path, self.block = source, path, block

    def __str__(self) -> str:
        place = f"{self.path or 'the file'}, block {self.block}" if self.block is not None else self.path
        where = ", ".join(part for part in (place, f"from {self.source}" if self.source else "") if part)
        return f"{super().__str__()} ({where})" if where else super().__str__()


class MalformedCar(ContentError):
    """A CAR stream that breaks the format or is not the walk it should be: its source is at fault, another may be right."""

    retryable = True
    in_another_order: bool = False  # it may hold all that is needed, for whoever can look for each block


class TruncatedCar(MalformedCar):
    """A CAR stream that ended before the DAG was whole: before the leaf `block` of the file `path`, where that is known.

    Its source may have met a wrong block there and may not say so: `cid` is the one to ask for.
    """

    cid: object = None
    path: str = ""
    block: int | None = None


class UnreadableSource(ContentError):
    """A local file or directory that can't be addressed: of a wrong type, a link loop, changed while it was read."""

    reason = "InvalidConfig"
