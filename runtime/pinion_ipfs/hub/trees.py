"""What a tree that no hub's repository names is called in a Hugging Face cache: repository `ipfs/<root CID>`, and a commit.

So whatever works on a repository at a commit works on it too: snapshots, pins, offline use, `hf cache`, `from_pretrained`.
"""

from ..content.cid import Cid
from ..errors import ContentError
from .identity import Commit, RepoId
from .listing import HubFile, pointer_oid

NAMESPACE = "ipfs"
_COMMIT_DIGITS = 40


def tree_repo(root: Cid) -> RepoId:
    """Return the repository of a tree: its CID (v1, base32) in the namespace `ipfs`."""
    return RepoId.parse(f"{NAMESPACE}/{root}")


def tree_commit(root: Cid) -> Commit:
    """Return the commit of a tree: the first 40 hexadecimal digits of its root's digest."""
    return Commit.parse(root.digest.hex()[:_COMMIT_DIGITS])


def tree_root(repo: RepoId, commit: Commit | None = None) -> Cid | None:
    """Return the root that a repository, at a commit if one is given, is the tree of; None when it is no tree's."""
    namespace, _, name = repo.text.partition("/")
    if namespace != NAMESPACE:
        return None
    try:
        root = Cid.parse(name)
    except ContentError:
        return None
    is_its = tree_repo(root) == repo and commit in (None, tree_commit(root))
    return root if is_its else None


def tree_file(path: str, size: int, sha256: str) -> HubFile:
    """Return a file that no hub has announced: by its sha256, as the hub names a large file, whatever its size."""
    return HubFile(path, size, pointer_oid(sha256, size), sha256)
