"""A commit's files as other programs look for them: links to blobs, or files where a filesystem has no links.

A new snapshot is built beside and renamed, so that nobody takes half of one for whole.
"""

import errno
import logging
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from huggingface_hub import constants

from ..errors import StoreInaccessible
from .files import make_folders, partial_name
from .ownership import is_believed, is_ours

_log = logging.getLogger(__name__)

# After any other answer to symlink() a filesystem counts as one without links; which one it gives, each decides for itself.
_OF_THE_PLACE = frozenset(
    (errno.EEXIST, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EACCES)
)
_NO_RENAME = frozenset((errno.ENOTEMPTY, errno.EEXIST, errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL))
_LEFT_BEHIND_SECONDS = 3600.0
_without_links: set[int] = set()  # filesystems, by device


def lay_out(folder: Path, blobs: Mapping[str, Path]) -> None:
    """Make `folder` hold a file for each path, the blob's bytes; other files that are there stay.

    Raise StoreInaccessible, with nothing done, when two of the paths are one on this filesystem, or it does not take a name.
    """
    try:
        if folder.exists() or not _build(folder, blobs):
            _complete(folder, blobs)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise StoreInaccessible(f"{error.filename}: longer than this filesystem takes") from error
        raise


def is_laid_out(folder: Path, blobs: Mapping[str, Path]) -> bool:
    """Tell whether each path is there and leads to its blob, however: other programs make absolute links, or files.

    A file of its own is looked at with the blobs, like them, whenever these are.
    """
    entries = [(folder / path, blob) for path, blob in blobs.items()]
    return all(is_believed(entry) and (entry.resolve() == blob.resolve() or _is_copy(entry, blob)) for entry, blob in entries)


def copies(folder: Path, blobs: Mapping[str, Path]) -> dict[str, Path]:
    """Return those of the paths that are files with bytes of their own, which nobody has looked at with the blob."""
    own = {path: folder / path for path in blobs if not (folder / path).is_symlink() and (folder / path).is_file()}
    return {path: file for path, file in own.items() if not file.samefile(blobs[path])}


def _build(folder: Path, blobs: Mapping[str, Path]) -> bool:
    """Build a whole snapshot and rename it; return False when somebody was faster, or folders can't be renamed here."""
    repository = folder.parent.parent
    make_folders(folder.parent)
    for left in repository.glob(".*.partial"):  # of a killed process
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_BEHIND_SECONDS:
                shutil.rmtree(left)
    built = partial_name(repository / folder.name)
    try:
        make_folders(built)
        for path, blob in blobs.items():
            make_folders((built / path).parent)
            try:
                _put(blob, built / path, (folder / path).parent)
            except FileExistsError:
                raise _folded(folder, path, blobs) from None
        try:
            built.rename(folder)
        except OSError as error:
            if error.errno not in _NO_RENAME:
                raise
            return False
    finally:
        shutil.rmtree(built, ignore_errors=True)
    return True


def _complete(folder: Path, blobs: Mapping[str, Path]) -> None:
    """Add what a snapshot lacks, or has otherwise. The configuration comes last: who looks for a model looks for that first."""
    made: list[Path] = []
    try:
        for path in sorted(blobs, key=lambda path: path.rpartition("/")[2] == "config.json"):
            entry, blob = folder / path, blobs[path]
            if _is_right(entry, blob):
                continue
            make_folders(entry.parent)
            partial = partial_name(entry)
            new = not entry.exists()
            try:
                _put(blob, partial, entry.parent)
                partial.replace(entry)
            finally:
                partial.unlink(missing_ok=True)
            if new:
                made.append(entry)
        _check_names(folder, blobs)
    except BaseException:
        for entry in made:
            entry.unlink(missing_ok=True)
        raise


def _check_names(folder: Path, blobs: Mapping[str, Path]) -> None:
    for path, blob in blobs.items():
        if not _is_right(folder / path, blob):  # another path's entry has taken its name
            raise _folded(folder, path, blobs)


def _is_right(entry: Path, blob: Path) -> bool:
    if entry.is_symlink():
        return is_believed(entry) and str(entry.readlink()) == os.path.relpath(blob, entry.parent)
    return entry.is_file() and (entry.samefile(blob) or (is_ours(entry.stat()) and _is_copy(entry, blob)))


def _is_copy(entry: Path, blob: Path) -> bool:
    return not entry.is_symlink() and entry.is_file() and entry.stat().st_size == blob.stat().st_size


def _put(blob: Path, entry: Path, parent: Path) -> None:
    """Make `entry`, which is to lie in `parent`, the blob's: a relative link, else another name of it, else a copy."""
    if _links(entry.parent):
        try:
            entry.symlink_to(os.path.relpath(blob, parent))
        except OSError as error:
            if error.errno in _OF_THE_PLACE:
                raise
            _without_links.add(entry.parent.stat().st_dev)
            what = (
                "no symbolic links on the filesystem of %s (%s): snapshots hold files of their own, which may take more space"
            )
            _log.warning(what, parent, error.strerror)
        else:
            return
    try:
        os.link(blob.resolve(), entry)
    except FileExistsError:
        raise
    except OSError:
        with blob.open("rb") as source, entry.open("xb") as target:
            shutil.copyfileobj(source, target, 1024 * 1024)


def _links(folder: Path) -> bool:
    return not constants.HF_HUB_DISABLE_SYMLINKS and folder.stat().st_dev not in _without_links


def _folded(folder: Path, path: str, blobs: Mapping[str, Path]) -> StoreInaccessible:
    other = next(
        (each for each in blobs if each != path and each.casefold().rstrip(".") == path.casefold().rstrip(".")), "another"
    )
    return StoreInaccessible(f"{path} and {other} are one name on the filesystem of {folder}")
