"""Wrong bytes that were found: which file, which block of it, and who delivered them."""

from dataclasses import dataclass

from .errors import BlockMismatch, ContentError, DigestMismatch, StoreCorrupted
from .progress import SourceType


@dataclass(frozen=True, slots=True)
class Finding:
    """One wrong file or block; it was not used. `path` is '' when it belongs to no file, `block` None when it is not known."""

    source_type: SourceType
    source: str
    path: str
    block: int | None
    message: str


def findings_of(error: ContentError, source_type: SourceType, source: str) -> list[Finding]:
    """Return what an error says of wrong bytes; nothing for one that is about anything else."""
    if isinstance(error, StoreCorrupted):
        return [Finding("Store", "store", path, block, str(error)) for path, block in error.places]
    if isinstance(error, BlockMismatch | DigestMismatch):
        return [Finding(source_type, error.source or source, error.path, error.block, str(error))]
    return []
