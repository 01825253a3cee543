"""Folders as pods find them: of other users, mounted read-only, small. The tests' machine is root's."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def as_user(uid: int, gid: int = 0, groups: tuple[int, ...] = (), umask: int = 0o022) -> Iterator[None]:
    """Do what is inside as another user; all threads of this process are. Inside another such block it is that one's turn."""
    kept, before, user, group = os.getgroups(), os.umask(umask), os.geteuid(), os.getegid()
    os.seteuid(0)
    os.setgroups(groups)
    os.setegid(gid or uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups(kept)
        os.setegid(group)
        os.seteuid(user)
        os.umask(before)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Mount a folder read-only over itself."""
    subprocess.run(["mount", "--bind", folder, folder], check=True, timeout=30)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True, timeout=30)
        yield
    finally:
        subprocess.run(["umount", folder], check=True, timeout=30)


@contextmanager
def bound(folder: Path, place: Path) -> Iterator[None]:
    """Mount a folder at a second place."""
    subprocess.run(["mount", "--bind", folder, place], check=True, timeout=30)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True, timeout=30)


@contextmanager
def small_volume(folder: Path, size: str) -> Iterator[Path]:
    """Mount a volume of `size` bytes (`8m`) at `folder`."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True, timeout=30)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True, timeout=30)


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """Yield a folder that every user can reach; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="pinion-shared-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
