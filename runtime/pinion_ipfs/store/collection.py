"""Making room in a store: the least recently used goes first, and never what is pinned, open, being fetched or not ours."""

import errno
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import StoreInaccessible
from .in_use import open_inodes
from .inventory import Inventory, Pins, Revision, last_used
from .store import REF_NAMESPACE, Store

IDLE_SECONDS = 60.0  # what was used less long ago stays: who has just brought it may not have pinned it yet
_FETCHING_SECONDS = 3600.0  # an unfinished file of the hub's own library that is older was left behind
_BLOCKS_USED = "somebody writes or pins some of them"


@dataclass(frozen=True, slots=True)
class Kept:
    """What could not go, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Collection:
    """What went, or with `dry_run` would go: revisions as `org/name@commit`, single blocks by their CIDs. Sizes are in bytes.

    `used` counts what is ours, before it; with `foreign` all models of the cache.
    """

    used: int
    freed: int
    removed: tuple[str, ...]
    kept: tuple[Kept, ...]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    used: float
    remove: Callable[[], "int | str"]  # the bytes that are freed, or why it stays


def collect(
    store: Store,
    *,
    high: int = 0,
    low: int | None = None,
    foreign: bool = False,
    idle_seconds: float = IDLE_SECONDS,
    dry_run: bool = False,
) -> Collection:
    """Free space when more than `high` bytes are used, until `low` are or nothing more can go. Blocking.

    `low` is `high` where it is None. `foreign`: revisions that other programs brought into the cache may go too. Raise
    ValueError for limits that are none, StoreInaccessible where nothing can be deleted or nobody can tell who uses the store,
    BackendBusy when another process collects for longer than half a minute.
    """
    low = high if low is None else low
    if not 0 <= low <= high:
        raise ValueError(f"0 <= low <= high is needed, not {low} and {high}")
    if not store.writable:
        raise StoreInaccessible(f"{store.hf_home} can't be written by this user: nothing is collected")
    store.prepare()
    with store.uses.collecting():
        try:
            return _Work(store, foreign, idle_seconds, dry_run).run(high, low)
        except OSError as error:
            raise StoreInaccessible(f"{error.filename}: {error.strerror}: no more is collected") from error


class _Work:
    def __init__(self, store: Store, foreign: bool, idle_seconds: float, dry_run: bool) -> None:
        self._store, self._foreign, self._dry_run = store, foreign, dry_run
        self._inventory = Inventory(store, of_others=foreign)
        self._before = time.time() - idle_seconds

    def run(self, high: int, low: int) -> Collection:
        used, freed = self._inventory.size(), 0
        removed: list[str] = []
        kept: list[Kept] = []
        # A look only: who writes a block waits while one is removed, and not for a whole collection.
        with self._store.uses.alone_with_blocks() as alone:
            pass
        pins = Pins(self._store, self._inventory)
        kept += [Kept(each.name, reason) for each in self._inventory.known if (reason := pins.reason(each))]
        candidates = [*self._revisions(pins), *self._left_records(), *(self._files(pins) if alone else ())]
        if not alone and self._inventory.blocks:
            kept.append(Kept("single blocks", _BLOCKS_USED))
        elif pins.unreadable and self._inventory.blocks:
            kept.append(Kept("single blocks", f"{pins.unreadable} is pinned and can't be read: they may be below it"))
        for candidate in sorted(candidates, key=lambda each: each.used) if used > high else ():
            if used - freed <= low:
                break
            if candidate.used > self._before:
                kept.append(Kept(candidate.name, "used a moment ago"))
                continue
            outcome = candidate.remove()
            if isinstance(outcome, str):
                kept.append(Kept(candidate.name, outcome))
            else:
                freed += outcome
                removed.append(candidate.name)
        return Collection(used, freed, tuple(removed), tuple(kept), self._dry_run)

    def _revisions(self, pins: Pins) -> Iterator[_Candidate]:
        for revision in self._inventory.revisions:
            if not pins.reason(revision):
                yield _Candidate(revision.name, self._inventory.used(revision), partial(self._take, revision))

    def _files(self, pins: Pins) -> Iterator[_Candidate]:
        blocks = () if pins.unreadable else self._inventory.blocks
        for path in (*blocks, *self._inventory.taken_out):
            if path.name not in pins.blocks:
                yield _Candidate(path.name, last_used(path), partial(self._take_block, path))

    def _take_block(self, path: Path) -> "int | str":
        with self._store.uses.alone_with_blocks() as alone:
            return self._take_file(path) if alone else _BLOCKS_USED

    def _left_records(self) -> Iterator[_Candidate]:
        for path, folder in self._inventory.left_records.items():
            yield _Candidate(path.name, last_used(path), partial(self._take_record, path, folder))

    def _take_record(self, path: Path, folder: str) -> "int | str":
        if not folder:
            return self._take_left(path)
        with self._store.uses.alone_with_repository(folder) as alone:
            return self._take_left(path) if alone else "a process fetches or pins something of its repository"

    def _take_left(self, path: Path) -> "int | str":
        # Looked at again: a fetch may have laid out meanwhile what it is of.
        if path not in Inventory(self._store, of_others=self._foreign).left_records:
            return "a tree needs it by now"
        return self._take_file(path)

    def _take_file(self, path: Path) -> "int | str":
        """Remove a file, unless it was used since the collection looked at it first."""
        return "used a moment ago" if last_used(path) > self._before else self._unlink([path])

    def _take(self, revision: Revision) -> "int | str":
        """Remove a revision while nobody else uses its repository; return the bytes that this frees, or why it stays."""
        with self._store.uses.alone_with_repository(revision.folder) as alone:
            if not alone:
                return "a process fetches or pins something of its repository"
            # Looked at again: a fetch may have ended meanwhile. Pins can't have come, for who makes one waits for us.
            inventory = self._inventory if self._dry_run else Inventory(self._store, of_others=self._foreign)
            if inventory.used(revision) > self._before:
                return "used a moment ago"
            if self._is_downloaded(revision):
                return "another program downloads something of its repository"
            mine = (revision.folder, revision.commit)
            blobs = [blob for blob in inventory.blobs(revision) if inventory.users.get(blob, {mine}) <= {mine}]
            links = [inventory.snapshot(revision) / path for path in revision.paths]
            if not open_inodes().isdisjoint(_inodes((*inventory.blobs(revision), *inventory.theirs(revision), *links))):
                return "a process has a file of it open"
            if self._dry_run:
                for blob in inventory.blobs(revision):
                    inventory.users.get(blob, set()).discard(mine)
            freed = self._remove(inventory, revision, links, blobs)
            if self._dry_run:
                inventory.forget_records(revision)
            return freed

    def _remove(self, inventory: Inventory, revision: Revision, links: list[Path], blobs: list[Path]) -> int:
        # Links first, for none may lead to nothing; the manifest last, for what is left of a killed collection is found by it.
        links.sort(key=lambda link: link.name != "config.json")
        sidecars = [inventory.sidecar(blob) for blob in blobs]
        records = inventory.records(revision)
        if self._dry_run:
            return self._unlink([*links, *blobs, *sidecars, *records])
        snapshot = inventory.snapshot(revision)
        freed = self._unlink(links)
        _prune({parent for link in links for parent in link.parents if parent.is_relative_to(snapshot)})
        if not snapshot.exists():
            self._forget_commit(revision)
        # Looked at again: another program may have linked a snapshot of its own to one of them meanwhile.
        still = Inventory(self._store, of_others=True)
        others = {blob for blob, users in still.users.items() if users - {(revision.folder, revision.commit)}}
        freed += self._unlink([blob for blob in blobs if blob not in others])
        freed += self._unlink([inventory.sidecar(blob) for blob in blobs if blob not in others])
        freed += self._unlink(records)
        repository = self._store.cache_dir / revision.folder
        if not any(path for path in repository.rglob("*") if path.is_symlink() or not path.is_dir()):
            _prune({repository, *repository.rglob("*")})
        return freed

    def _forget_commit(self, revision: Revision) -> None:
        """Take away what else names a commit whose snapshot is gone: otherwise `hf cache` calls the repository damaged."""
        repository = self._store.cache_dir / revision.folder
        for ref in (repository / "refs").rglob("*"):
            if ref.relative_to(repository / "refs").parts[0] != REF_NAMESPACE and ref.is_file():
                with suppress(OSError, UnicodeDecodeError):
                    if ref.read_text().strip() == revision.commit:
                        ref.unlink()
        absent = repository / ".no_exist" / revision.commit  # empty files of the hub's library
        for path in sorted(absent.rglob("*"), reverse=True):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        _prune({absent, absent.parent})

    def _is_downloaded(self, revision: Revision) -> bool:
        now = time.time()
        unfinished = (self._store.cache_dir / revision.folder / "blobs").glob("*.incomplete")
        return any(now - last_used(path) < _FETCHING_SECONDS for path in unfinished)

    def _unlink(self, paths: Iterable[Path]) -> int:
        """Delete files and return the bytes that this frees: of one with further names none."""
        freed = 0
        left: dict[int, int] = {}
        for path in paths:
            try:
                info = path.lstat()
                if not self._dry_run:
                    path.unlink()
            except FileNotFoundError:
                continue
            left[info.st_ino] = left.get(info.st_ino, info.st_nlink) - 1 if self._dry_run else info.st_nlink - 1
            freed += info.st_size if left[info.st_ino] == 0 and stat.S_ISREG(info.st_mode) else 0
        return freed


def _inodes(paths: Iterable[Path]) -> Iterator[int]:
    for path in paths:
        with suppress(OSError):
            yield path.stat().st_ino


def _prune(folders: set[Path]) -> None:
    """Delete those of the folders that are empty, the deepest first."""
    for folder in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
                raise
