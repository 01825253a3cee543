"""A backend that was chosen, with the functions as its methods: what it can't do, nobody else is asked for."""

import os
from collections.abc import Iterator

from ..backends.collecting import Collected
from ..store.collection import IDLE_SECONDS
from . import blocking
from .operations import Stat
from .registry import Bound


class SelectedBackend(Bound):
    """One backend; it is also taken wherever a function takes `backend`."""

    def add_bytes(self, data: bytes, *, pin: bool = True) -> str:
        """Add a file and return its CID; MAX_BYTES at most."""
        return blocking.add_bytes(data, pin=pin, replication=1, backend=self)

    def cat(self, cid: str) -> bytes:
        """Return the verified bytes of a file of MAX_BYTES at most."""
        return blocking.cat(cid, backend=self)

    def pin(self, cid: str) -> None:
        """Keep a DAG that it has as a whole; raise ContentMissing where it has not."""
        blocking.pin(cid, replication=1, backend=self)

    def unpin(self, cid: str) -> None:
        """Give up our pin in every backend; no error when there is none."""
        blocking.unpin(cid, backend=self)

    def block_put(self, data: bytes, *, codec: str = "raw") -> str:
        """Store a block of 1 MiB at most, "raw" or "dag-pb", and return its CID."""
        return blocking.block_put(data, codec=codec, backend=self)

    def block_get(self, cid: str) -> bytes:
        """Return one verified block."""
        return blocking.block_get(cid, backend=self)

    def add_path(
        self, path: str | os.PathLike[str], *, recursive: bool = True, pin: bool = True, chunker: str | None = None
    ) -> str:
        """Add a file or a directory of any size and return its CID."""
        return blocking.add_path(path, recursive=recursive, pin=pin, chunker=chunker, replication=1, backend=self)

    def get_to_path(self, cid: str, *, output_path: str | os.PathLike[str]) -> None:
        """Write a file or a directory to a new place, each block verified."""
        blocking.get_to_path(cid, output_path=output_path, backend=self)

    def ls(self, cid: str) -> list[str]:
        """Return the names in a directory."""
        return blocking.ls(cid, backend=self)

    def dag_export(self, cid: str) -> bytes:
        """Return a verified CAR of MAX_BYTES at most."""
        return blocking.dag_export(cid, backend=self)

    def dag_import(self, car: bytes, *, pin: bool = True) -> str:
        """Add what a CAR of MAX_BYTES at most holds, and return its root."""
        return blocking.dag_import(car, pin=pin, replication=1, backend=self)

    def dag_import_file(self, path: str | os.PathLike[str], *, pin: bool = True) -> str:
        """Add what a CAR in a file holds, whatever its size, and return its root."""
        return blocking.dag_import_file(path, pin=pin, replication=1, backend=self)

    def has(self, cid: str) -> bool:
        """Tell whether a backend has a block."""
        return blocking.has(cid, backend=self)

    def stat(self, cid: str) -> Stat:
        """Return the blocks and bytes of a DAG that one backend has as a whole."""
        return blocking.stat(cid, backend=self)

    def pin_ls(self) -> list[str]:
        """Return what is pinned here."""
        return blocking.pin_ls(backend=self)

    def gc(
        self,
        *,
        high: int = 0,
        low: int | None = None,
        foreign: bool = False,
        idle_seconds: float = IDLE_SECONDS,
        dry_run: bool = False,
    ) -> tuple[Collected, ...]:
        """Free space where more than `high` bytes are used, until `low` are; what is pinned stays."""
        return blocking.gc(high=high, low=low, foreign=foreign, idle_seconds=idle_seconds, dry_run=dry_run, backend=self)

    def cat_stream(self, cid: str) -> Iterator[bytes]:
        """Yield the verified bytes of a file of any size."""
        return blocking.cat_stream(cid, backend=self)

    def dag_export_stream(self, cid: str) -> Iterator[bytes]:
        """Yield a verified CAR of any size."""
        return blocking.dag_export_stream(cid, backend=self)
