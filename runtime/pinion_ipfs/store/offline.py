"""What a cache holds without asking any hub: which commit a name means, and which files a commit has."""

from pathlib import Path

from ..errors import ContentError, InvalidRepository, SourceNotFound
from ..identity import Commit, RepoId, check_revision
from ..listing import HubFile, Listing, pointer_oid
from .store import Store

_MOST_SHOWN = 5


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
    found: list[tuple[int, Commit]] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            found.append((path.stat().st_mtime_ns, Commit.parse(path.name)))
        except (InvalidRepository, OSError):
            continue  # what a commit is not called, or a link to nothing
    return [commit for _, commit in sorted(found, key=lambda entry: (-entry[0], str(entry[1])))]


def list_snapshot(store: Store, repo: RepoId, commit: Commit) -> Listing:
    """Return the files of a commit as the hub announced them: the name of a blob in the cache is what the hub calls it.

    Raise SourceNotFound for a file whose blob is gone, or that is no link into the cache.
    """
    folder = store.snapshot_path(repo, commit)
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            continue
        name = path.relative_to(folder).as_posix()
        blob = path.readlink().name if path.is_symlink() else ""
        if not path.is_file() or len(blob) not in (40, 64):
            raise SourceNotFound(
                f"{repo}@{commit} in {store.cache_dir}: {name!r} is no file of the cache, or its bytes are gone"
            )
        size = path.stat().st_size
        lfs = len(blob) == 64
        files.append(HubFile(name, size, pointer_oid(blob, size) if lfs else blob, blob if lfs else None))
    if not files:
        raise SourceNotFound(f"{repo}@{commit} in {store.cache_dir}: no files")
    return Listing.of(files)


def _read_ref(store: Store, repo: RepoId, revision: str) -> Commit | None:
    """Return what a ref's file says; whoever wrote it with an editor may have left blanks and line ends around it."""
    try:
        return Commit.parse((store.cache_dir / repo.folder / "refs" / Path(revision)).read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError, ContentError):
        return None
