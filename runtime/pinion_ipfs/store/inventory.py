"""What a store holds, as a collection sees it: revisions, single blocks, files that were taken out. Nothing is changed."""

import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path

from ..content.cid import DAG_PB, RAW, Cid
from ..content.dag_pb import decode_node
from ..content.unixfs import layout_tree
from ..errors import ContentError, InvalidRepository, UnsupportedDag
from ..hub.identity import Commit
from ..hub.manifest import Manifest, blocks_of
from ..hub.trees import NAMESPACE, tree_commit, tree_repo
from .foreign import foreign_paths, marker
from .index import StoreIndex
from .ownership import is_believed
from .store import REF_NAMESPACE, Store
from .tree_records import header_of


@dataclass(frozen=True, slots=True)
class Revision:
    """A model at a commit. One of ours has manifests; of another program's, `etags` are the blobs that its links lead to."""

    folder: str  # of its repository, in the cache
    commit: str
    manifests: dict[Cid, Manifest] = field(default_factory=dict)
    paths: frozenset[str] = frozenset()
    etags: frozenset[str] = frozenset()
    foreign: frozenset[str] = (
        frozenset()
    )  # of one of ours: blobs of files that were there before, which only a sidecar of ours has

    @property
    def name(self) -> str:
        """Return what people call it."""
        return f"{self.folder.removeprefix('models--').replace('--', '/')}@{self.commit}"

    @property
    def cids(self) -> frozenset[Cid]:
        """Return what may be pinned of it as a whole."""
        return frozenset(self.manifests) | {manifest.root for manifest in self.manifests.values()}


class Inventory:
    """A store at one moment. Blocking: small files are read, and no blob."""

    def __init__(self, store: Store, *, of_others: bool) -> None:
        self._store = store
        ours = _ours(store, of_others)
        self.revisions = [each for each in ours if each.paths or not each.foreign]  # what may go
        foreign = _of_others(store, {(each.folder, each.commit) for each in ours})
        self.users: dict[Path, set[tuple[str, str]]] = {}  # of each blob the revisions that need it
        for revision in (*self.revisions, *foreign):
            for blob in self.blobs(revision):
                self.users.setdefault(blob, set()).add((revision.folder, revision.commit))
        for revision in ours:  # another program may have put more into a snapshot of ours
            for blob in _linked(self.snapshot(revision)):
                self.users.setdefault(blob, set()).add((revision.folder, revision.commit))
        self.revisions += foreign if of_others else []
        self.known = [*ours, *(foreign if of_others else [])]  # also those of ours of which all was there before
        self.blocks = _files(store.side / "blocks", "b*")
        self._of_trees, self.left_records = self._tree_records()
        self.taken_out = [path for folder in _folders(store.side / "quarantine") for path in _files(folder, "*")]

    def snapshot(self, revision: Revision) -> Path:
        """Return the folder of a revision's files."""
        return self._store.cache_dir / revision.folder / "snapshots" / revision.commit

    def blobs(self, revision: Revision) -> list[Path]:
        """Return where a revision's blobs are, or would be."""
        return [self._store.cache_dir / revision.folder / "blobs" / etag for etag in sorted(revision.etags)]

    def theirs(self, revision: Revision) -> list[Path]:
        """Return the files that other programs have in a revision's snapshot: they stay, but who uses one uses the revision."""
        snapshot = self.snapshot(revision)
        blobs = [self._store.cache_dir / revision.folder / "blobs" / etag for etag in sorted(revision.foreign)]
        files = (path for path in snapshot.rglob("*") if not _is_folder(path))
        return [*blobs, *(_behind(path, snapshot) for path in files if str(path.relative_to(snapshot)) not in revision.paths)]

    def sidecar(self, blob: Path) -> Path:
        """Return what lies beside the cache for a blob."""
        return self._store.side / "sidecars" / blob.parent.parent.name / blob.name

    def manifest_file(self, cid: Cid) -> Path:
        """Return where a manifest is."""
        return self._store.side / "manifests" / f"{cid}.json"

    def records(self, revision: Revision) -> list[Path]:
        """Return what tells of a revision besides its blobs' own sidecars: it goes last."""
        theirs = [self._store.cache_dir / revision.folder / "blobs" / etag for etag in sorted(revision.foreign)]
        mine = {(revision.folder, revision.commit)}
        sidecars = [self.sidecar(blob) for blob in theirs if self.users.get(blob, mine) <= mine]
        noted = [marker(self._store.side, revision.folder, revision.commit)] if revision.manifests else []
        kept = [path for path, users in self._of_trees.items() if users <= mine and users]
        return [*sidecars, *noted, *kept, *(self.manifest_file(cid) for cid in revision.manifests)]

    def forget_records(self, revision: Revision) -> None:
        """Let a revision that is to go need no record of a tree any more."""
        for users in self._of_trees.values():
            users.discard((revision.folder, revision.commit))

    def _tree_records(self) -> tuple[dict[Path, set[tuple[str, str]]], dict[Path, str]]:
        """Return which revisions need each record of a tree; and those that nobody does, with the repository they were of."""
        by_name: dict[str, set[tuple[str, str]]] = {}
        for blob, users in self.users.items():
            by_name.setdefault(blob.name, set()).update(users)
        needed: dict[Path, set[tuple[str, str]]] = {}
        left: dict[Path, str] = {}
        for path in _files(self._store.side / "trees", "*.nodes"):
            header = header_of(path)
            with suppress(ContentError, ValueError):
                if isinstance(root := header.get("root"), str):
                    cid = Cid.parse(root)
                    repo, commit = tree_repo(cid), tree_commit(cid)
                    if self._store.snapshot_path(repo, commit).exists():
                        needed[path] = {(repo.folder, str(commit))}
                    else:
                        left[path] = repo.folder
                elif isinstance(sha256 := header.get("sha256"), str):
                    needed[path] = set(by_name.get(sha256, ()))
                    if not needed[path] and not any(
                        self._store.cache_dir.glob(f"models--{NAMESPACE}--*/blobs/{escape(sha256)}")
                    ):
                        left[path] = ""
        return needed, left

    def used(self, revision: Revision) -> float:
        """Return when a revision was last used, in seconds since the epoch: by its own files, else by those it shares."""
        blobs = [*self.blobs(revision), *self.theirs(revision)]
        own = [blob for blob in blobs if len(self.users.get(blob, ())) < 2] or blobs
        marks = [last_used(self.manifest_file(cid)) for cid in revision.manifests]
        # Other programs leave no note: of a blob, and of nothing that is read here, the time of access counts too.
        marks += [max(last_used(self.sidecar(blob)), last_used(blob, read=True)) for blob in own]
        if not revision.manifests:
            marks.append(last_used(self.snapshot(revision)))
        return max(marks, default=0.0)

    def size(self) -> int:
        """Return the bytes that all of it takes, each file counted once."""
        files = {*self.blocks, *self.taken_out, *self.left_records}
        ours = {(revision.folder, revision.commit) for revision in self.revisions}
        files.update(path for path, users in self._of_trees.items() if users & ours)  # also what several of them need
        for revision in self.revisions:
            files.update(self.records(revision))
            for blob in self.blobs(revision):
                files |= {blob, self.sidecar(blob)}
            files.update(self.snapshot(revision) / path for path in revision.paths)
        sizes: dict[tuple[int, int], int] = {}
        for path in files:
            with suppress(OSError):
                info = path.lstat()
                sizes[info.st_dev, info.st_ino] = info.st_size if stat.S_ISREG(info.st_mode) else 0
        return sum(sizes.values())


class Pins:
    """What nobody may take away: pinned CIDs with all below them, commits that somebody holds."""

    def __init__(self, store: Store, inventory: Inventory) -> None:
        folder = store.side / "cid-pins"
        self.cids: set[Cid] = set()
        self.unreadable: Cid | None = None  # what is pinned by its CID, and below which nobody can tell what lies
        self._held: set[tuple[str, str]] = set()
        for path in _files(folder, "b*"):
            with suppress(ContentError, ValueError):
                if is_believed(path):
                    self.cids.add(Cid.parse(path.name))
        single = set(self.cids)
        for record in store.pins.all():
            self.cids |= {record.cid, record.manifest_cid}
            self._held.add((record.repo.folder, str(record.commit)))
        for revision in inventory.known:
            refs = store.cache_dir / revision.folder / "refs" / REF_NAMESPACE
            if any(_text(ref) == revision.commit for ref in _files(refs, "*")):
                self._held.add((revision.folder, revision.commit))
        self._store = store
        index = StoreIndex(store)
        index.refresh()
        whole = {cid for revision in inventory.known for cid in revision.cids}
        below, unreadable = self._below(index, self.cids)
        self.blocks = frozenset(map(str, below))
        self._parts = self._below(index, self.cids - whole)[0]
        if unreadable:  # what owners hold besides is a revision, which stays as such
            self.unreadable = min(self._below(index, single)[1], key=str, default=None)

    def reason(self, revision: Revision) -> str:
        """Return why a revision is pinned, '' when it is not."""
        if revision.cids & self.cids or (revision.folder, revision.commit) in self._held:
            return "pinned"
        if self._parts and not self._parts.isdisjoint(self._cids_in(revision)):
            return "something in it is pinned"
        return ""

    def _below(self, index: StoreIndex, roots: set[Cid]) -> tuple[frozenset[Cid], frozenset[Cid]]:
        """Return the CIDs of DAGs, and those of their nodes that can't be read."""
        seen: set[Cid] = set()
        unreadable: set[Cid] = set()
        wanted = list(roots)
        while wanted:
            cid = wanted.pop()
            if cid in seen:
                continue
            seen.add(cid)
            if cid.codec == DAG_PB:
                try:
                    wanted.extend(link.cid for link in decode_node(self._node(index, cid)).links)
                except (OSError, ContentError):
                    unreadable.add(cid)
        return frozenset(seen), frozenset(unreadable)

    def _node(self, index: StoreIndex, cid: Cid) -> bytes:
        block = cid.inline if cid.inline is not None else index.block(cid)
        if block is None:
            block = (self._store.side / "blocks" / str(cid)).read_bytes()
        if cid.of_other(block) != cid:
            raise UnsupportedDag(f"{cid}: other bytes")
        return block

    def _cids_in(self, revision: Revision) -> Iterator[Cid]:
        for manifest in revision.manifests.values():
            yield from blocks_of(manifest.encode())
            layouts = {}
            for file in manifest.files:
                if record := self._store.claimed(manifest.repo, file.hub):
                    layouts[file.hub.path] = record.layout
                    yield from dict(record.layout.nodes)
                    yield from (Cid.from_digest(RAW, digest) for digest in record.layout.leaves)
            yield from layout_tree(layouts).nodes


def last_used(path: Path, *, read: bool = False) -> float:
    """Return when a file was last written, or also read, in seconds since the epoch; 0 for one that is not there."""
    try:
        info = path.lstat()
    except OSError:
        return 0.0
    return max(info.st_mtime, info.st_atime) if read else info.st_mtime


def _ours(store: Store, of_others: bool) -> list[Revision]:
    """Return what came here by us; of files that were there before only `of_others` has their paths and blobs."""
    found: dict[tuple[str, str], dict[Cid, Manifest]] = {}
    for cid, manifest in store.manifests():
        if not (store.side / "manifests" / f"{cid}.json").is_file():
            continue  # this process alone knows it: nobody has confirmed that it is all that the commit has
        found.setdefault((manifest.repo.folder, str(manifest.commit)), {})[cid] = manifest
    revisions = []
    for (folder, commit), manifests in sorted(found.items()):
        theirs = frozenset() if of_others else foreign_paths(marker(store.side, folder, commit))
        files = [file.hub for manifest in manifests.values() for file in manifest.files]
        foreign = frozenset(file.etag for file in files if file.path in theirs)
        paths, etags = frozenset(file.path for file in files) - theirs, frozenset(file.etag for file in files) - foreign
        revisions.append(Revision(folder, commit, manifests, paths, etags, foreign))
    return revisions


def _of_others(store: Store, ours: set[tuple[str, str]]) -> list[Revision]:
    revisions = []
    for repository in sorted(store.cache_dir.glob("models--*")):
        for snapshot in _folders(repository / "snapshots"):
            with suppress(InvalidRepository):
                if (repository.name, str(Commit.parse(snapshot.name))) not in ours:
                    paths = frozenset(str(path.relative_to(snapshot)) for path in snapshot.rglob("*") if not _is_folder(path))
                    etags = frozenset(blob.name for blob in _linked(snapshot))
                    revisions.append(Revision(repository.name, snapshot.name, {}, paths, etags))
    return revisions


def _linked(snapshot: Path) -> Iterator[Path]:
    """Yield the blobs to which a snapshot's links lead."""
    for path in snapshot.rglob("*"):
        if (blob := _behind(path, snapshot)) != path:
            yield blob


def _behind(path: Path, snapshot: Path) -> Path:
    """Return the blob to which a link of a snapshot leads; a file that is no link is itself what it is."""
    with suppress(OSError):
        if path.is_symlink():
            return snapshot.parent.parent / "blobs" / path.readlink().name
    return path


def _text(path: Path) -> str:
    try:
        return path.read_text()[:100].strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _files(folder: Path, pattern: str) -> list[Path]:
    return [path for path in sorted(folder.glob(pattern)) if not _is_folder(path)] if folder.is_dir() else []


def _folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if _is_folder(path)] if folder.is_dir() else []


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
