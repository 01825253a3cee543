"""Mounts below our folders are taken away, also those that cannot be reached because somebody mounted something above them."""

import errno
import sys
from collections.abc import Collection
from functools import partial
from pathlib import Path

from ..commands import run
from ..errors import DevClusterError
from ..mounts import mount_points, mounts_under, unmount
from ..paths import REPOSITORY
from ..removal import remove_tree
from ..steps import Step, UnfinishedError, take_all


def unmount_all(folders: Collection[Path]) -> None:
    """Take away every mount below the folders; raise UnfinishedError naming those that stay."""
    while points := mounts_under(folders):
        refused: dict[Path, OSError] = {}
        for point in points:
            try:
                unmount(point)
            except OSError as error:  # another hides it, or it went away with another: the list is read again
                refused[point] = error
        if len(refused) == len(set(points)):
            take_all(Step("a mount", partial(_detach, *item)) for item in refused.items())
            return


def _detach(point: Path, error: OSError) -> None:
    """Take away a mount that another one hides, by somebody who mounted a folder above it over itself.

    The kernel takes mounts away everywhere when their mount point is deleted, and lets whoever has nothing mounted there
    delete it: in a mount namespace of its own, what lies above is taken off, and then the point is deleted. But only out of
    a folder that is seen here as well: what lies below another file system is nothing that we know.
    """
    if error.errno == errno.EPERM:
        raise error
    if not point.parent.is_dir():
        raise DevClusterError(f"{point}: something else is mounted over a folder above it")
    command = (sys.executable, "-m", __name__, point, _identity(point.parent))
    run("unshare", "--mount", "--propagation=private", *command, folder=REPOSITORY)


def _delete_mount_point(point: Path, folder: str) -> None:
    """Delete the mount point out of the folder of that identity, after all that is mounted there or above."""
    while True:
        above = [path for path in mount_points() if path in point.parents and path != Path("/")]
        try:
            if point.parent.is_dir() and _identity(point.parent) == folder:
                for mount in [path for path in mounts_under([point.parent]) if path == point or point in path.parents]:
                    unmount(mount)
                remove_tree(point)
                return
        except (OSError, UnfinishedError):
            if not above:
                raise
        if not above:
            raise DevClusterError(f"{point}: the folder that it is in is not found below what is mounted over it")
        unmount(max(above, key=lambda path: len(path.parts)))


def _identity(folder: Path) -> str:
    seen = folder.stat()
    return f"{seen.st_dev}:{seen.st_ino}"


if __name__ == "__main__":
    _delete_mount_point(Path(sys.argv[1]), sys.argv[2])
