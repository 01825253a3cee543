"""Who else could change what lies on a disk: what is looked at once more for it, and what is not used at all.

A folder is a group's when it has the setgid bit and its group may write, as a volume with an fsGroup has: whoever shares it
may put files there. Anybody else's files in a folder that is open to all are a stranger's.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import StoreInaccessible

_MOST_LINKS = 40  # as the kernel follows
_OTHERS = stat.S_IWOTH
_OTHERS_OR_GROUP = stat.S_IWOTH | stat.S_IWGRP
_GROUPS = stat.S_ISGID | stat.S_IWGRP


def is_ours(info: os.stat_result) -> bool:
    """Tell whether a file belongs to this process's user, or to root, who can do everything anyway."""
    return info.st_uid in (0, os.geteuid())


def is_of_group(info: os.stat_result) -> bool:
    """Tell whether a folder is one that a group shares, ours among its members."""
    return info.st_mode & _GROUPS == _GROUPS and info.st_gid in (os.getegid(), *os.getgroups())


def is_guarded(path: Path) -> bool:
    """Tell whether only we and root can write a file, or put another in its place; links are followed.

    Each folder on the way counts: below one that others can write, only a sticky one keeps them from renaming.
    """
    try:
        return _is_guarded(path)
    except OSError:
        return False


def _is_guarded(path: Path) -> bool:
    here, rest, followed = Path("/"), [*reversed(path.absolute().parts[1:])], 0
    while rest:
        name = rest.pop()
        if name == "..":
            here = here.parent
            continue
        info = (here / name).lstat()
        if not is_ours(info):
            return False
        if stat.S_ISLNK(info.st_mode):
            followed += 1
            target = (here / name).readlink()
            if followed > _MOST_LINKS:
                return False
            here = Path("/") if target.is_absolute() else here
            rest.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
            continue
        keeps = stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX and rest
        if info.st_mode & _OTHERS_OR_GROUP and not keeps:
            return False
        here /= name
    return True


def is_believed(path: Path) -> bool:
    """Tell whether a record may be used: it is ours, or lies in a folder into which strangers can't write."""
    try:
        return is_ours(path.lstat()) or not path.parent.stat().st_mode & _OTHERS
    except OSError:
        return False


def secure(root: Path, folder: Path, *, side: Path) -> None:
    """Look at a store's folders from its `root` down to `folder`; raise StoreInaccessible for one that a stranger put there.

    A folder that we made, and that is open to all, is closed, and what strangers have put there is taken away, blobs excepted:
    these are hashed. Earlier releases made such folders below /tmp. What lies below `side` we made; in a cache a sticky folder,
    for the hub's library makes none, and one that is open without that was opened by its owner.
    """
    for entry in _from(root, folder):
        try:
            info, above = entry.lstat(), entry.parent.stat()
        except (FileNotFoundError, NotADirectoryError):
            return
        if _is_strangers(info, above, top=entry == root):
            raise StoreInaccessible(
                f"{entry} belongs to user {info.st_uid}, who put it into a folder of somebody else's and could change "
                "what lies below at any time: remove it, or use another folder (HF_HOME, HF_HUB_CACHE)"
            )
        made = entry != root and (entry.is_relative_to(side) or info.st_mode & stat.S_ISVTX)
        if made and stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and info.st_mode & _OTHERS:
            with suppress(OSError):  # a volume that can't be written
                _close(entry, info.st_mode)


def _is_strangers(info: os.stat_result, above: os.stat_result, *, top: bool) -> bool:
    """Tell whether neither we, root nor the owner of the folder above made an entry. That of a store's top may be chosen."""
    if is_ours(info) or info.st_uid == above.st_uid or is_of_group(above):
        return False
    return bool(above.st_mode & _OTHERS) or (above.st_uid == os.geteuid() and not top)


def _close(folder: Path, mode: int) -> None:
    folder.chmod(stat.S_IMODE(mode) & (0o2775 if mode & _GROUPS == _GROUPS else 0o2755))
    if folder.name != "blobs":
        for entry in folder.iterdir():
            info = entry.lstat()
            if not is_ours(info) and not stat.S_ISDIR(info.st_mode):
                entry.unlink()


def _from(root: Path, folder: Path) -> Iterator[Path]:
    yield root
    here = root
    for name in folder.relative_to(root).parts:
        here /= name
        yield here
