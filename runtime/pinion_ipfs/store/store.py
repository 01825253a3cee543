"""The store's files: blobs named as the hub's cache names them, snapshots of relative links, refs, and our records beside.

Blocking; callers on an event loop use threads. Several processes may use one store: each writer has partial names of its own
and a rename publishes.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from ..content.cid import RAW, Cid
from ..content.unixfs import layout_files
from ..errors import DigestMismatch, StoreCorrupted
from ..identity import Commit, RepoId
from ..listing import HubFile
from ..manifest import Manifest
from .blobs import BlobRecord, hash_blob
from .files import link_atomically, partial_name, sweeping, write_atomically
from .pins import PinRecord, PinRecords, quote_owner

REF_NAMESPACE = "pinion"


class Store:
    """A Hugging Face cache folder and the `pinion` folder beside it, on one filesystem."""

    def __init__(self, hf_home: Path, cache_dir: Path | None = None) -> None:
        self.hf_home = hf_home
        self.cache_dir = cache_dir or hf_home / "hub"
        self.side = hf_home / "pinion"
        self.pins = PinRecords(self.side / "pins")

    @classmethod
    def default(cls) -> Self:
        """Return the store in the cache that `HF_HOME` and `HF_HUB_CACHE` name."""
        from huggingface_hub import constants  # not at the top: its paths are read from the environment once, at import

        return cls(Path(constants.HF_HOME), Path(constants.HF_HUB_CACHE))

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self.cache_dir, self.side, self.staging):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def staging(self) -> Path:
        """Return the folder of what is not verified yet."""
        return self.side / "staging"

    def staging_session(self) -> AbstractContextManager[None]:
        """Use the staging folder; leftovers of killed processes are deleted when nobody else uses it."""
        self.prepare()
        return sweeping(self.staging, self.side / "staging.lock", ("*.incomplete", ".*.partial"))

    def free_bytes(self) -> int:
        """Return the free space of the store's filesystem."""
        self.prepare()
        return shutil.disk_usage(self.side).free

    # Blobs

    def blob(self, repo: RepoId, file: HubFile) -> Path:
        """Return where a file's blob is, or would be."""
        return self.cache_dir / repo.folder / "blobs" / file.etag

    def sidecar(self, repo: RepoId, file: HubFile) -> Path:
        """Return where a blob's sidecar is, or would be."""
        return self.side / "sidecars" / repo.folder / file.etag

    def record(self, repo: RepoId, file: HubFile) -> BlobRecord | None:
        """Return the record of a blob that is here, verified when it came; None when blob or sidecar is missing or damaged."""
        try:
            if self.blob(repo, file).stat().st_size != file.size:
                return None
            record = BlobRecord.decode(self.sidecar(repo, file).read_bytes())
        except (OSError, ValueError):
            return None
        return record if record.layout.size == file.size else None

    def adopt(self, repo: RepoId, file: HubFile, on_bytes: Callable[[int], None] = lambda count: None) -> BlobRecord | None:
        """Return the record of a blob, hashing one that another program left here; a wrong one is taken out."""
        if record := self.record(repo, file):
            return record
        blob = self.blob(repo, file)
        if not blob.is_file():
            return None
        try:
            record = hash_blob(blob, file, "the local cache", on_bytes)
        except DigestMismatch:
            self.quarantine(repo, file)
            return None
        write_atomically(self.sidecar(repo, file), record.encode(), durable=False)
        return record

    def publish(self, repo: RepoId, file: HubFile, staged: Path, record: BlobRecord) -> None:
        """Move a verified file of this filesystem into the store."""
        write_atomically(self.sidecar(repo, file), record.encode(), durable=False)
        blob = self.blob(repo, file)
        blob.parent.mkdir(parents=True, exist_ok=True)
        staged.chmod(0o644)
        staged.replace(blob)

    def quarantine(self, repo: RepoId, file: HubFile) -> None:
        """Take a wrong blob out, with its sidecar and all snapshot links: a broken link hides the repository from scans."""
        blob = self.blob(repo, file)
        target = self.side / "quarantine" / repo.folder / partial_name(blob).name
        target.parent.mkdir(parents=True, exist_ok=True)
        for link in (self.cache_dir / repo.folder / "snapshots").glob("**/*"):
            if link.is_symlink() and link.readlink().name == file.etag:
                link.unlink()
        self.sidecar(repo, file).unlink(missing_ok=True)
        if blob.is_symlink() or blob.exists():
            blob.replace(target)

    def verify_blobs(self, repo: RepoId, files: Sequence[HubFile]) -> None:
        """Read blobs again and compare each leaf; raise StoreCorrupted, after taking out what is wrong."""
        unique = {file.etag: file for file in files}
        wrong: set[str] = set()
        present: list[tuple[HubFile, BlobRecord]] = []
        for file in unique.values():
            record = self.record(repo, file)
            if record is None:
                wrong.add(file.etag)
            else:
                present.append((file, record))
        layouts = layout_files([self.blob(repo, file) for file, _ in present])
        for (file, record), layout in zip(present, layouts, strict=True):
            if layout.cid != record.layout.cid:
                wrong.add(file.etag)
        if wrong:
            paths = tuple(file.path for file in files if file.etag in wrong)
            for etag in wrong:
                self.quarantine(repo, unique[etag])
            raise StoreCorrupted(f"{repo}: no longer what was stored: {', '.join(paths)}; taken out of the store", paths=paths)

    # Snapshots

    def snapshot_path(self, repo: RepoId, commit: Commit) -> Path:
        """Return the folder of a commit's files."""
        return self.cache_dir / repo.folder / "snapshots" / str(commit)

    def link_snapshot(self, repo: RepoId, commit: Commit, files: Sequence[HubFile], revision: str = "") -> Path:
        """Lay a commit's files out as links to blobs, and point the asked revision at it; return the folder."""
        folder = self.snapshot_path(repo, commit)
        for file in files:
            link_atomically(folder / file.path, self.blob(repo, file))
        if revision and revision != str(commit):
            self._write_ref(repo, revision, commit)
        return folder

    def _write_ref(self, repo: RepoId, name: str, commit: Commit) -> None:
        refs = self.cache_dir / repo.folder / "refs"
        target = Path(os.path.normpath(refs / name))
        if target != refs and target.is_relative_to(refs):
            write_atomically(target, str(commit).encode())

    # Manifests

    def put_manifest(self, manifest: Manifest) -> Cid:
        """Keep a manifest under its CID and return that."""
        data = manifest.encode()
        cid = Cid.of_block(RAW, data)
        write_atomically(self._manifest_path(cid), data)
        return cid

    def get_manifest(self, cid: Cid) -> Manifest | None:
        """Return a manifest that is here and right, or None."""
        try:
            data = self._manifest_path(cid).read_bytes()
        except FileNotFoundError:
            return None
        return Manifest.decode(data) if Cid.of_block(cid.codec, data) == cid else None

    def manifests(self) -> Iterator[tuple[Cid, Manifest]]:
        """Yield every manifest of the store."""
        for path in sorted((self.side / "manifests").glob("*.json")):
            cid = Cid.parse(path.stem)
            if manifest := self.get_manifest(cid):
                yield cid, manifest

    def _manifest_path(self, cid: Cid) -> Path:
        return self.side / "manifests" / f"{cid}.json"

    # Pins

    def pin(self, record: PinRecord) -> None:
        """Write an owner's pin, and a ref that keeps `hf cache prune` away."""
        self.pins.put(record)
        self._write_ref(record.repo, f"{REF_NAMESPACE}/{quote_owner(record.owner)}", record.commit)

    def unpin(self, owner: str) -> None:
        """Take an owner's pin and its ref away."""
        if record := self.pins.get(owner):
            ref = self.cache_dir / record.repo.folder / "refs" / REF_NAMESPACE / quote_owner(owner)
            ref.unlink(missing_ok=True)
            self.pins.remove(owner)
