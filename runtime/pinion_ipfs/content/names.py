"""Names inside a directory: what may become part of a path on disk."""

from .errors import UnsupportedDag

MAX_NAME_BYTES = 255
MAX_DEPTH = 64  # directories below each other
MAX_ENTRIES = 1_000_000  # files and directories of a tree, the root included: what is written and what is read


def check_name(name: str, path: str) -> None:
    """Raise UnsupportedDag, naming `path`, for a name that is unsafe in a directory."""
    if problem := name_problem(name):
        raise UnsupportedDag(f"{path!r}: the name {name[:80]!r} {problem}")


def name_problem(name: str) -> str:
    """Return what is wrong with a name, or nothing."""
    if not name:
        return "is empty"
    if name in (".", ".."):
        return "means another directory"
    if "/" in name or "\0" in name:
        return "holds a slash or a NUL"
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:  # os.fsdecode puts surrogates where the bytes on disk are not UTF-8
        return "is not UTF-8"
    if len(encoded) > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes"
    return ""
