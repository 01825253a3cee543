"""What is asked of a collection of garbage, and what a backend tells of its own."""

from dataclasses import dataclass

from ..store.collection import IDLE_SECONDS, Kept

MAX_NAMED = 10_000  # of what was removed; the rest is counted
NO_DRY_RUN = "a Kubo collects, and can't tell before what would go"


@dataclass(frozen=True, slots=True)
class GcOrder:
    """Collect where more than `high` bytes are used, until `low` are, or as many as `high` where it is None.

    `foreign`, `idle_seconds` and `low` concern the local store: a Kubo takes all that nobody has pinned.
    """

    high: int = 0
    low: int | None = None
    foreign: bool = False
    idle_seconds: float = IDLE_SECONDS
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Collected:
    """What one backend freed, or with `dry_run` would free; sizes in bytes. `error` says why it did not collect.

    `used` counts what was there before. `removed` names revisions as `org/name@commit` and single blocks by their CIDs, 10,000
    at most of the `count` that went. `kept` tells of the local store what could not go, and why.
    """

    backend: str
    used: int = 0
    freed: int = 0
    removed: tuple[str, ...] = ()
    count: int = 0
    kept: tuple[Kept, ...] = ()
    dry_run: bool = False
    error: str = ""
