"""What a backend is to the router, and what is said about its work: health, attempts, receipts."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ..content.cid import Cid
from ..content.unixfs import TreeLayout
from .collecting import Collected, GcOrder

Places = frozenset[tuple[str, str]]  # what is behind a backend: kind of place, and which folder, repository, API or object


class Capability(StrEnum):
    """What a backend can do; the router asks only those that can."""

    READ = "read"  # cat, block_get, has
    EXPORT = "export"  # dag_export as one stream of its own; others make it of single blocks, which whoever has READ can do
    ADD = "add"  # add_bytes
    WRITE = "write"  # block_put, dag_import
    PIN = "pin"  # pin, unpin, pin_ls, stat
    GC = "gc"  # gc


@dataclass(frozen=True, slots=True)
class Health:
    """The result of a real round trip; `checks` names only what was done."""

    backend: str
    usable: bool
    seconds: float
    checks: tuple[str, ...] = ()
    reason: str = ""  # why it is not usable
    version: str = ""
    error: Exception | None = None  # what `reason` tells of, with what is behind it


@dataclass(frozen=True, slots=True)
class DagStat:
    """A DAG that is present as a whole: its distinct blocks and their bytes."""

    cid: Cid
    blocks: int
    size: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One backend that was asked, or passed over, and why it did not serve."""

    backend: str
    error: str
    kind: str  # the error's class name; BlockMismatch and MalformedCar mean that it delivered something wrong
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Replica:
    """One backend that was to keep a copy: it does, or `error` says why not."""

    backend: str
    error: str = ""

    @property
    def done(self) -> bool:
        """Tell whether it keeps one."""
        return not self.error


@dataclass(frozen=True, slots=True)
class Receipt:
    """What happened to one operation: who served it, who was tried before, and how long it took.

    Of an operation that pins, `replicas` has a line for each backend that was to keep a copy.
    """

    operation: str
    backend: str  # "" = none served
    preferred: str  # the first that could have
    seconds: float
    bytes: int = 0
    cid: str = ""
    attempts: tuple[Attempt, ...] = ()
    error: str = ""
    replicas: tuple[Replica, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Tell whether a backend served the operation."""
        return bool(self.backend) and not self.error

    @property
    def degraded(self) -> bool:
        """Tell whether another than the preferred backend served, or none; of replicas whether one could not be made."""
        if self.replicas:
            return not all(each.done for each in self.replicas)
        return self.backend != self.preferred


@dataclass(frozen=True, slots=True)
class CarSource:
    """A DAG that can be streamed as a CAR, more than once: its layout, and how to open it; `size` counts the stream's bytes."""

    tree: TreeLayout
    size: int
    open: "OpenCar"


class OpenCar(Protocol):
    """Starts a CAR stream, which whoever reads it closes."""

    def __call__(self) -> AsyncGenerator[bytes, None]:
        """Return the stream from its beginning."""
        ...


class Backend(Protocol):
    """A place that keeps content. Bytes move as streams; what is read is verified against its CID before it is given out.

    Operations raise BackendUnavailable when the place does not answer, ContentMissing when it does not have it, BlockMismatch
    when it delivers something else, PinFailed when it took but did not confirm. Every call has a timeout.
    """

    @property
    def name(self) -> str:
        """Return the name that receipts use."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return what this backend can do."""
        ...

    async def probe(self) -> Health:
        """Make a real round trip: write, read, compare where it can write. Never raises for a backend that is down."""
        ...

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Add a file and return its CID under the profile."""
        ...

    def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the verified bytes of a file."""
        ...

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Store one block."""
        ...

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        ...

    async def has(self, cid: Cid) -> bool:
        """Tell whether a block is there, without looking elsewhere."""
        ...

    async def stat(self, cid: Cid) -> DagStat:
        """Return the size of a DAG that is present as a whole, or raise ContentMissing."""
        ...

    async def pin(self, cid: Cid) -> None:
        """Keep a DAG that is present as a whole."""
        ...

    async def unpin(self, cid: Cid) -> None:
        """Give up a pin; no error when there is none."""
        ...

    async def pin_ls(self) -> frozenset[Cid]:
        """Return the roots of all recursive pins."""
        ...

    async def dag_import(self, car: CarSource) -> int:
        """Take a DAG in and return the bytes sent."""
        ...

    def dag_export(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield a CAR (`car-order=dfs&car-dups=y`), not verified: the walk that reads it does that."""
        ...

    async def gc(self, order: GcOrder) -> Collected:
        """Free space: what is pinned stays."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
