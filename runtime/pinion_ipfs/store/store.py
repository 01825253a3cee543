"""The store's files: blobs named as the hub's cache names them, snapshots of relative links, refs, and our records beside.

Blocking; callers on an event loop use threads. Several processes may use one store: each writer has partial names of its own
and a rename publishes. On a volume that can't be written, what would be kept beside the cache is kept in memory instead.
Whoever else may write to the store is not believed: see `ownership`.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import NoReturn, Self

from ..content.cid import Cid
from ..content.unixfs import layout_files
from ..errors import ContentError, DigestMismatch, StorageFilled, StoreCorrupted, StoreInaccessible
from ..hub.identity import Commit, RepoId
from ..hub.listing import HubFile
from ..hub.manifest import Manifest, cid_of
from ..hub.trees import tree_root
from .blobs import BlobRecord, hash_blob
from .files import make_folders, move, partial_name, read_record, sweeping, write_atomically
from .foreign import marker, note_foreign
from .in_use import Uses
from .ownership import is_believed, is_guarded, secure
from .pins import PinRecord, PinRecords, quote_owner
from .snapshots import copies, is_laid_out, lay_out

REF_NAMESPACE = "pinion"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_TRIES = 3  # at hashing a file that changes meanwhile

_Stamp = tuple[int, int, int, int, int]


class Store:
    """A Hugging Face cache folder and the `pinion` folder beside it, on one filesystem."""

    def __init__(self, hf_home: Path, cache_dir: Path | None = None) -> None:
        self.hf_home = hf_home
        self.cache_dir = cache_dir or hf_home / "hub"
        self._top = _beside(hf_home, self.cache_dir)
        self.side = self._top / "pinion"
        self.pins = PinRecords(self.side / "pins")
        self.uses = Uses(self.side / "in-use")
        self._kept: dict[Path, bytes] = {}  # of a store that can't be written: manifests
        self._places: dict[Path, Path] = {}  # blobs that are files of a snapshot, where that can't be changed
        self._hashed: dict[Path, tuple[_Stamp, BlobRecord]] = {}  # what this process has hashed, and the blob as it was then

    @classmethod
    def default(cls) -> Self:
        """Return the store in the cache that `HF_HOME` and `HF_HUB_CACHE` name."""
        from huggingface_hub import constants  # not at the top: its paths are read from the environment once, at import

        return cls(Path(constants.HF_HOME), Path(constants.HF_HUB_CACHE))

    @property
    def writable(self) -> bool:
        """Tell whether this process may write here: by rights, and by how the volume is mounted. Nothing is tried."""
        return os.access(_existing(self.side), os.W_OK | os.X_OK, effective_ids=True)

    def prepare(self) -> None:
        """Make the folders, where that can be done."""
        self.secure(self.cache_dir, self.side, self.staging)
        if self.writable:
            for folder in (self.cache_dir, self.side, self.staging):
                make_folders(folder)

    def secure(self, *folders: Path) -> None:
        """Raise StoreInaccessible for a folder of the store that a stranger could change; close those of ours."""
        for folder in folders:
            secure(self.cache_dir if folder.is_relative_to(self.cache_dir) else self._top, folder, side=self.side)

    @property
    def staging(self) -> Path:
        """Return the folder of what is not verified yet."""
        return self.side / "staging"

    def staging_session(self) -> AbstractContextManager[None]:
        """Use the staging folder; leftovers of killed processes are deleted when nobody else uses it."""
        self.prepare()
        return sweeping(self.staging, self.side / "staging.lock", ("*.incomplete", ".*.partial"))

    def check_names(self, files: Sequence[HubFile]) -> None:
        """Raise StoreInaccessible for a name that this filesystem does not take; some have room for fewer than 255 bytes."""
        try:
            longest = os.pathconf(_existing(self.cache_dir), "PC_NAME_MAX")
        except OSError:
            return
        for file in files:
            if any(len(name.encode()) > longest for name in file.path.split("/")):
                raise StoreInaccessible(
                    f"{file.path}: the filesystem of {self.cache_dir} takes names of {longest} bytes at most"
                )

    def free_bytes(self) -> int:
        """Return the free space of the store's filesystem."""
        return self._size_and_free()[1]

    def has_room(self, size: int) -> bool:
        """Return whether `size` bytes fit; a filesystem that tells no size at all, as some network volumes do, is tried."""
        total, free = self._size_and_free()
        return size <= free or total == 0

    def _size_and_free(self) -> tuple[int, int]:
        self.prepare()
        try:
            usage = shutil.disk_usage(_existing(self.side))
        except OSError:
            return 0, 0
        return usage.total, usage.free

    # Blobs

    def blob(self, repo: RepoId, file: HubFile) -> Path:
        """Return where a file's blob is, or would be."""
        blob = self.cache_dir / repo.folder / "blobs" / file.etag
        return self._places.get(blob, blob)

    def sidecar(self, repo: RepoId, file: HubFile) -> Path:
        """Return where a blob's sidecar is, or would be."""
        return self.side / "sidecars" / repo.folder / file.etag

    def record(self, repo: RepoId, file: HubFile) -> BlobRecord | None:
        """Return the record of a blob that is here and right, without reading it; None when that is not known.

        A sidecar is believed when nobody but us can have changed it, or the blob, since.
        """
        blob = self.blob(repo, file)
        try:
            info = blob.stat()
        except OSError:
            return None
        if info.st_size != file.size:
            return None
        if is_guarded(blob):
            record = self._read_sidecar(repo, file) if is_guarded(self.sidecar(repo, file)) else None
            if record is not None or self.writable:
                return record
        stamp, record = self._hashed.get(blob, (None, None))
        return record if stamp == _stamp(info) else None

    def claimed(self, repo: RepoId, file: HubFile) -> BlobRecord | None:
        """Return what is said of a blob, by whomever: for who compares each leaf with it, and trusts its addresses alone."""
        try:
            if self.blob(repo, file).stat().st_size != file.size:
                return None
        except OSError:
            return None
        known = self._hashed.get(self.blob(repo, file))
        return known[1] if known else self._read_sidecar(repo, file)

    def adopt(
        self,
        repo: RepoId,
        file: HubFile,
        on_bytes: Callable[[int], None] = lambda count: None,
        on_wrong: Callable[[DigestMismatch], None] = lambda error: None,
        *,
        keep: bool = False,
    ) -> BlobRecord | None:
        """Return the record of a blob, hashing one of which nothing is known; a wrong one is taken out, and None returned.

        Where the volume can't be written, or it is to be kept, a wrong one raises DigestMismatch. A right one that a stranger
        could change, in a folder where only we can write, is replaced by a copy of ours.
        """
        if record := self.record(repo, file):
            return record
        blob = self.blob(repo, file)
        self.secure(blob.parent)
        try:
            if not blob.exists() and not blob.is_symlink():
                return self._adopt_real_file(repo, file)
            record = self._hash(repo, file, blob, on_bytes)
            if self.writable and not is_guarded(blob) and is_guarded(blob.parent):
                return self._copy(repo, file, blob)
        except DigestMismatch as error:
            if keep or not self.writable:
                raise
            self.quarantine(repo, file)
            on_wrong(error)
            return None
        except PermissionError as error:
            raise StoreInaccessible(f"{file.path} of {repo}: {blob} can't be read by user {os.geteuid()}") from error
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreInaccessible(f"{file.path} of {repo}: {error.strerror}: {error.filename or blob}") from error
        if self.writable:
            self._write_sidecar(repo, file, record)
        return record

    def _hash(self, repo: RepoId, file: HubFile, blob: Path, on_bytes: Callable[[int], None]) -> BlobRecord:
        """Hash a blob as it is, and remember that this was done."""
        for _ in range(_TRIES):
            before = _stamp(blob.stat())
            record = hash_blob(blob, file, "the local cache", on_bytes)
            if _stamp(blob.stat()) == before:
                self._hashed[blob] = before, record
                return record
        raise StoreInaccessible(f"{file.path} of {repo}: {blob} changes while it is read")

    def _adopt_real_file(self, repo: RepoId, file: HubFile) -> BlobRecord | None:
        """Look for a blob among the files of snapshots: where the hub's library has no links, its cache has no blobs."""
        blob = self.blob(repo, file)
        for folder in (self.cache_dir / repo.folder / "snapshots").glob("*"):
            found = folder / file.path
            self.secure(found.parent)
            if found.is_symlink() or not found.is_file() or found.stat().st_size != file.size:
                continue
            with suppress(DigestMismatch):  # of another commit
                if not self.writable:
                    record = self._hash(repo, file, found, lambda count: None)
                    self._places[blob] = found
                    return record
                hash_blob(found, file, "the local cache")
                return self._copy(repo, file, found)
        return None

    def _copy(self, repo: RepoId, file: HubFile, blob: Path) -> BlobRecord:
        """Put a copy of ours in a blob's place, hashed as it is now."""
        copy = partial_name(self.staging / file.etag)
        make_folders(copy.parent)
        try:
            if is_guarded(blob):
                _link_or_copy(blob, copy)
            else:
                shutil.copyfile(blob, copy)
            record = hash_blob(copy, file, "the local cache")
            self.publish(repo, file, copy, record)
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFilled(str(blob), needed_bytes=file.size, available_bytes=self.free_bytes()) from error
            raise
        finally:
            copy.unlink(missing_ok=True)
        return record

    def publish(self, repo: RepoId, file: HubFile, staged: Path, record: BlobRecord) -> None:
        """Move a verified file of this filesystem into the store."""
        blob = self.blob(repo, file)
        self._write_sidecar(repo, file, record)
        self.secure(blob.parent)
        make_folders(blob.parent)
        with suppress(OSError):  # a filesystem without permissions
            staged.chmod(0o644)
        move(staged, blob)
        self._hashed[blob] = _stamp(blob.stat()), record

    def _read_sidecar(self, repo: RepoId, file: HubFile) -> BlobRecord | None:
        try:
            record = BlobRecord.decode(read_record(self.sidecar(repo, file)))
        except (OSError, ValueError):
            return None
        announced = record.layout.size == file.size and file.lfs_sha256 in (None, record.sha256)
        return record if announced else None

    def _write_sidecar(self, repo: RepoId, file: HubFile, record: BlobRecord) -> None:
        sidecar = self.sidecar(repo, file)
        self.secure(sidecar.parent)
        write_atomically(sidecar, record.encode(), durable=False)

    def quarantine(self, repo: RepoId, file: HubFile) -> None:
        """Take a wrong blob out, with its sidecar and all snapshot links: a broken link hides the repository from scans."""
        blob = self.blob(repo, file)
        target = self.side / "quarantine" / repo.folder / f"{file.etag}.{secrets.token_hex(4)}"
        self.secure(target.parent, blob.parent)
        make_folders(target.parent)
        for link in (self.cache_dir / repo.folder / "snapshots").glob("**/*"):
            if link.is_symlink() and link.readlink().name == file.etag:
                link.unlink()
        self.sidecar(repo, file).unlink(missing_ok=True)
        if blob.is_symlink() or blob.exists():
            try:
                move(blob, target)
            except OSError as error:
                what = f"{repo}: {blob} is not {file.path}, and user {os.geteuid()} can't take it away"
                raise StoreInaccessible(f"{what}: {error.strerror}") from error

    def verify_blobs(self, repo: RepoId, files: Sequence[HubFile]) -> None:
        """Read blobs again and compare each leaf; raise StoreCorrupted, after taking out what is wrong.

        On a volume that can't be written nothing can be repaired: DigestMismatch instead. StoreInaccessible for what can't be
        read.
        """
        unique = {file.etag: file for file in files}
        wrong: dict[str, int | None] = {}  # the first wrong leaf, by etag; None: there is no right blob at all
        present: list[tuple[HubFile, BlobRecord]] = []
        for file in unique.values():
            _, record = self._hashed.get(self.blob(repo, file), (None, None))
            if record is None or not self._is_of_size(repo, file):
                record = self.adopt(repo, file)
            if record is None:
                wrong[file.etag] = None
            else:
                present.append((file, record))
        try:
            layouts = layout_files([self.blob(repo, file) for file, _ in present])
        except PermissionError as error:
            raise StoreInaccessible(f"{repo}: {error.filename} can't be read by user {os.geteuid()}") from error
        for (file, record), layout in zip(present, layouts, strict=True):
            if layout.cid != record.layout.cid:
                pairs = zip(layout.leaves, record.layout.leaves, strict=False)
                wrong[file.etag] = next((index for index, (found, wanted) in enumerate(pairs) if found != wanted), None)
        if wrong:
            self._take_out(repo, unique, wrong, tuple((file.path, wrong[file.etag]) for file in files if file.etag in wrong))

    def _take_out(
        self,
        repo: RepoId,
        unique: Mapping[str, HubFile],
        wrong: Mapping[str, int | None],
        places: tuple[tuple[str, int | None], ...],
    ) -> NoReturn:
        shown = ", ".join(path if block is None else f"{path} (block {block})" for path, block in places)
        if not self.writable:
            path, block = places[0]
            message = f"{repo}: no longer what was stored: {shown}; the volume can't be written, so it stays"
            raise DigestMismatch(message, source="store", path=path, block=block)
        for etag in wrong:
            self.quarantine(repo, unique[etag])
        message = f"{repo}: no longer what was stored: {shown}; taken out of the store"
        raise StoreCorrupted(message, paths=tuple(path for path, _ in places), places=places)

    # Snapshots

    def snapshot_path(self, repo: RepoId, commit: Commit) -> Path:
        """Return the folder of a commit's files."""
        return self.cache_dir / repo.folder / "snapshots" / str(commit)

    def link_snapshot(self, repo: RepoId, commit: Commit, files: Sequence[HubFile], revision: str = "") -> Path:
        """Lay a commit's files out as links to blobs, and point the asked revision at it; return the folder.

        A tree of no hub's repository has one commit: `main`, which the hub's libraries look for, is always it.
        Raise StoreInaccessible, without either link, when two of the names are one on this filesystem.
        """
        folder = self.snapshot_path(repo, commit)
        revision = "main" if tree_root(repo, commit) else revision
        blobs = {file.path: self.blob(repo, file) for file in files}
        for parent in {(folder / path).parent for path in blobs}:
            self.secure(parent)
        if not is_laid_out(folder, blobs):
            try:
                lay_out(folder, blobs)
            except StoreInaccessible as error:
                raise StoreInaccessible(f"{repo}: {error}") from error
            except OSError as error:
                if error.errno in _FULL:
                    raise StorageFilled(f"{repo}: its snapshot", needed_bytes=0, available_bytes=self.free_bytes()) from error
                raise StoreInaccessible(f"{repo}: no snapshot: {error.strerror}: {error.filename}") from error
        if revision and revision != str(commit):
            self._write_ref(repo, revision, commit)
        return folder

    def verify_copies(self, repo: RepoId, commit: Commit, files: Sequence[HubFile]) -> None:
        """Compare a snapshot's files that are no links with their blobs' records, which were compared with the blobs.

        Raise StoreCorrupted, after taking out what is wrong: the snapshot is laid out again with the next fetch.
        """
        own = copies(self.snapshot_path(repo, commit), {file.path: self.blob(repo, file) for file in files})
        known = {file.path: self.claimed(repo, file) for file in files if file.path in own}
        layouts = dict(zip(own, layout_files(list(own.values())), strict=True))
        wrong = [path for path, layout in layouts.items() if (record := known[path]) is None or record.layout != layout]
        if wrong and not self.writable:
            raise DigestMismatch(f"{repo}: no longer what was stored: {', '.join(wrong)}", source="store", path=wrong[0])
        for path in wrong:
            own[path].unlink()
        if wrong:
            raise StoreCorrupted(f"{repo}: no longer what was stored: {', '.join(wrong)}; taken out", paths=tuple(wrong))

    def _write_ref(self, repo: RepoId, name: str, commit: Commit) -> None:
        refs = self.cache_dir / repo.folder / "refs"
        target = Path(os.path.normpath(refs / name))
        if self.writable and target != refs and target.is_relative_to(refs):
            self.secure(target.parent)
            try:
                write_atomically(target, str(commit).encode())
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise  # else: a cache of somebody else's, of which what lies beside it is ours

    # Manifests

    def put_manifest(self, manifest: Manifest, *, lasting: bool = True) -> Cid:
        """Keep a manifest under its CID, on disk or for this process alone, and return the CID; note what others had there."""
        data = manifest.encode()
        cid = cid_of(data)
        if lasting and self.writable:
            self._note_foreign(manifest)
        self._keep(self._manifest_path(cid), data, lasting=lasting)
        return cid

    def get_manifest(self, cid: Cid) -> Manifest | None:
        """Return a manifest that is here and right, or None: whoever put it here, its CID says what it is."""
        path = self._manifest_path(cid)
        try:
            data = self._kept[path] if path in self._kept else read_record(path)
        except OSError:
            return None
        return Manifest.decode(data) if data and cid_of(data) == cid else None

    def manifests(self, *, of_anybody: bool = False) -> Iterator[tuple[Cid, Manifest]]:
        """Yield the manifests of the store; those that a stranger may have written only when asked for."""
        folder = self.side / "manifests"
        for path in sorted({*folder.glob("*.json"), *(path for path in self._kept if path.parent == folder)}):
            if path not in self._kept and not of_anybody and not is_believed(path):
                continue
            try:
                cid = Cid.parse(path.stem)
                manifest = self.get_manifest(cid)
            except ContentError:
                continue  # not of ours, or of a program that came after us
            if manifest:
                yield cid, manifest

    def _note_foreign(self, manifest: Manifest) -> None:
        snapshot = self.snapshot_path(manifest.repo, manifest.commit)
        noted = marker(self.side, manifest.repo.folder, snapshot.name)
        if snapshot.is_dir() or noted.exists():
            self.secure(noted.parent)
            mine = (each for _, each in self.manifests() if (each.repo, each.commit) == (manifest.repo, manifest.commit))
            note_foreign(noted, snapshot, {file.hub.path for each in mine for file in each.files})

    def _manifest_path(self, cid: Cid) -> Path:
        return self.side / "manifests" / f"{cid}.json"

    # Pins

    def pin(self, record: PinRecord) -> None:
        """Write an owner's pin, and a ref that keeps `hf cache prune` away; who can't write to the volume can't pin."""
        if not self.writable:
            return
        self.secure(self.side / "pins")
        with self.uses.of_pins():
            self.pins.put(record)
            self.hold(record.repo, record.commit, record.owner)

    def unpin(self, owner: str) -> None:
        """Take an owner's pin and its ref away."""
        if record := self.pins.get(owner):
            self.release(record.repo, owner)
            self.pins.remove(owner)

    def hold(self, repo: RepoId, commit: Commit, owner: str) -> None:
        """Write a ref that keeps `hf cache prune` away from a commit."""
        self._write_ref(repo, f"{REF_NAMESPACE}/{quote_owner(owner)}", commit)

    def release(self, repo: RepoId, owner: str) -> None:
        """Take that ref away."""
        (self.cache_dir / repo.folder / "refs" / REF_NAMESPACE / quote_owner(owner)).unlink(missing_ok=True)

    # What lies beside the cache

    def _keep(self, path: Path, data: bytes, *, lasting: bool) -> None:
        if lasting and self.writable:
            self.secure(path.parent)
            write_atomically(path, data)
        else:
            self._kept[path] = data

    def _is_of_size(self, repo: RepoId, file: HubFile) -> bool:
        try:
            return self.blob(repo, file).stat().st_size == file.size
        except OSError:
            return False


def _beside(hf_home: Path, cache_dir: Path) -> Path:
    """Return the folder for what lies beside a cache: HF_HOME, else one on the cache's filesystem, where renaming works."""
    home, cache = _existing(hf_home), _existing(cache_dir)
    if home.stat().st_dev == cache.stat().st_dev:
        return hf_home
    above = _existing(cache_dir.parent)
    if above.stat().st_dev == cache.stat().st_dev and os.access(above, os.W_OK | os.X_OK, effective_ids=True):
        return cache_dir.parent
    return cache_dir / ".locks"  # the one folder in a cache that the hub's tools pass over


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _stamp(info: os.stat_result) -> _Stamp:
    """Return what changes with a file's content, or when another takes its place."""
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns
