"""What a cache holds without asking any hub: which commit a name means, which files a commit has, and whether they are all.

What says so is a record of ours, or for want of one the cache itself: then the answer is unconfirmed, and says why.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..errors import ContentError, InvalidRepository, SourceNotFound
from ..hub import selection
from ..hub.identity import Commit, RepoId, check_revision
from ..hub.listing import HubFile, Listing, pointer_oid, select
from .files import is_partial, read_record
from .ownership import is_believed
from .store import Store
from .wholeness import missing_files

_MOST_SHOWN = 5
# Real files have no names that tell: which of them the hub calls by their sha256, is what it does unless told otherwise.
_LFS = frozenset((".bin", ".gguf", ".h5", ".model", ".msgpack", ".onnx", ".ot", ".pt", ".pth", ".safetensors"))
_LFS_BYTES = 10 * 1024 * 1024
_BLOB = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


def find_commit(store: Store, repo: RepoId, revision: str) -> Commit:
    """Return the commit that a name means in a cache: a commit that is there, or what the file of that ref says.

    Raise SourceNotFound, naming the commits that are at hand; nothing is written, and nobody is asked.
    """
    check_revision(revision)
    at_hand = commits(store, repo)
    try:
        commit = Commit.parse(revision)
    except InvalidRepository:
        named = _read_ref(store, repo, revision)
        if named in at_hand:
            return named
        found = f"{revision} is {named}, which is not there" if named else f"nothing says which commit {revision!r} is"
    else:
        if commit in at_hand:
            return commit
        found = f"commit {commit} is not there"
    shown = ", ".join(map(str, at_hand[:_MOST_SHOWN])) or "none"
    raise SourceNotFound(f"{repo} in {store.cache_dir}: {found}; commits at hand: {shown}")


def commits(store: Store, repo: RepoId) -> list[Commit]:
    """Return the commits of a repository that a cache has folders for, the newest folder first."""
    folder = store.cache_dir / repo.folder / "snapshots"
    store.secure(folder)
    found: list[tuple[int, Commit]] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            found.append((path.stat().st_mtime_ns, Commit.parse(path.name)))
        except (InvalidRepository, OSError):
            continue  # what a commit is not called, or a link to nothing
    return [commit for _, commit in sorted(found, key=lambda entry: (-entry[0], str(entry[1])))]


def list_whole(
    store: Store,
    repo: RepoId,
    commit: Commit,
    *,
    allow_patterns: Sequence[str] = (),
    ignore_patterns: Sequence[str] = (),
    selection_rule: int = selection.CURRENT,
    source_digest: str = "",
) -> Listing:
    """Return the files of a commit when all of them are in a cache: those of our manifest, else all that the model needs.

    Without a manifest, and without a `source_digest` that they have, the listing is unconfirmed. Blobs are not read. Raise
    SourceNotFound, naming what misses.
    """
    where = f"{repo}@{commit} in {store.cache_dir}"
    choose = partial(
        select, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns, selection_rule=selection_rule, where=where
    )
    chosen = [
        choose([file.hub for file in manifest.files])
        for _, manifest in store.manifests()
        if (manifest.repo, manifest.commit) == (repo, commit)
    ]
    known = [listing for listing in chosen if source_digest in ("", listing.source_digest)]
    if known:
        # One that was made by patterns of its own may be a part of it.
        listing = max(known, key=lambda listing: (len(listing.files), listing.source_digest))
        if absent := [file.path for file in listing.files if not _is_here(store, repo, file)]:
            raise SourceNotFound(f"{where}: not whole, these are missing: {_shown(absent)}")
        return listing
    listing = choose(list_snapshot(store, repo, commit).files)
    if source_digest:
        if listing.source_digest != source_digest:
            raise SourceNotFound(f"{where}: not the files that were asked for, or not all of them")
        return listing
    folder = store.snapshot_path(repo, commit)
    if missing := missing_files([file.path for file in listing.files], lambda path: read_record((folder / path).resolve())):
        raise SourceNotFound(f"{where}: not whole, these are missing: {_shown(missing)}")
    why = "nobody has said that the files in the cache are all that the commit has"
    if any(not (folder / file.path).is_symlink() for file in listing.files):
        why += ", or what is in those that are no links"
    return replace(listing, unconfirmed=why)


def list_snapshot(store: Store, repo: RepoId, commit: Commit) -> Listing:
    """Return the files of a commit as the hub announced them: the name of a blob in the cache is what the hub calls it.

    Files that are no links, as in a cache on a filesystem without them, are what they are. Raise SourceNotFound for a file
    whose blob is gone, a link that leads anywhere but to a blob of the repository, and what a stranger put there.
    """
    folder = store.snapshot_path(repo, commit)
    store.secure(folder)
    where = f"{repo}@{commit} in {store.cache_dir}"
    files: list[HubFile] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() and not path.is_symlink():
            store.secure(path)
            continue
        if is_partial(path.name):
            continue
        if not is_believed(path):
            raise SourceNotFound(
                f"{where}: {name!r} was put there by user {path.lstat().st_uid}, in a folder that all can write"
            )
        if path.is_file() and not path.is_symlink():
            files.append(_real_file(path, name))
            continue
        blob = _blob_of(store, repo, path)
        if not blob or not path.is_file():
            raise SourceNotFound(f"{where}: {name!r} is no file of the cache, or its bytes are gone")
        size = path.stat().st_size
        lfs = len(blob) == 64
        files.append(HubFile(name, size, pointer_oid(blob, size) if lfs else blob, blob if lfs else None))
    if not files:
        raise SourceNotFound(f"{where}: no files")
    return Listing.of(files)


def _blob_of(store: Store, repo: RepoId, path: Path) -> str:
    """Return the name of the blob to which a file of a snapshot leads, '' when it leads anywhere else."""
    target = Path(os.path.normpath(path.parent / path.readlink()))
    inside = target.parent.resolve() == (store.cache_dir / repo.folder / "blobs").resolve()
    return target.name if inside and _BLOB.fullmatch(target.name) else ""


def _real_file(path: Path, name: str) -> HubFile:
    """Return a file of a cache without links, as its bytes are: nothing says what they should be."""
    size = path.stat().st_size
    if path.suffix in _LFS or size > _LFS_BYTES:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return HubFile(name, size, pointer_oid(sha256, size), sha256)
    return HubFile(name, size, hashlib.sha1(b"blob %d\0" % size + path.read_bytes(), usedforsecurity=False).hexdigest())


def _is_here(store: Store, repo: RepoId, file: HubFile) -> bool:
    try:
        return store.blob(repo, file).stat().st_size == file.size
    except OSError:
        return False


def _shown(names: Sequence[str]) -> str:
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _read_ref(store: Store, repo: RepoId, revision: str) -> Commit | None:
    """Return what a ref's file says; whoever wrote it with an editor may have left blanks and line ends around it."""
    path = store.cache_dir / repo.folder / "refs" / Path(revision)
    store.secure(path.parent)
    try:
        return Commit.parse(read_record(path).decode("utf-8").strip()) if is_believed(path) else None
    except (OSError, UnicodeDecodeError, ContentError):
        return None
