"""What a model must keep to so that it has an address and a manifest: told by its list of files, before the first byte."""

from ..content.cid import RAW, Cid
from ..content.leaves import CHUNK
from ..content.names import MAX_DEPTH
from ..content.unixfs import FileLayout, layout_leaves, layout_tree
from ..errors import UnsupportedDag
from .files import MAX_FILES
from .identity import Commit, RepoId
from .listing import HubFile, Listing
from .manifest import Manifest, ManifestFile

_DIGEST = bytes(32)  # in place of those that only the bytes tell: all are of one length
_CID = Cid.from_digest(RAW, _DIGEST)


def check_bounds(repo: RepoId, commit: Commit, listing: Listing) -> None:
    """Raise UnsupportedDag, naming the bound, for what could not be addressed, or not be fetched by its address."""
    folders: set[str] = set()
    for file in listing.files:
        if file.path.count("/") > MAX_DEPTH:
            raise UnsupportedDag(f"{repo}: {file.path[:200]!r} lies below more than {MAX_DEPTH} folders")
        folder = file.path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    if (count := len(listing.files) + len(folders)) > MAX_FILES:
        raise UnsupportedDag(f"{repo}: {count} files and folders, over {MAX_FILES}")
    try:
        layout_tree({file.path: _layout_of(file) for file in listing.files})
    except UnsupportedDag as error:
        raise UnsupportedDag(f"{repo}: {error}") from error
    Manifest(repo, commit, _CID, tuple(ManifestFile(file, _DIGEST.hex(), _CID) for file in listing.files)).encode()


def _layout_of(file: HubFile) -> FileLayout:
    """Return a layout that has the sizes of the file's own."""
    return layout_leaves([_DIGEST] * max(1, -(-file.size // CHUNK)), file.size)
