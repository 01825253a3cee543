"""Keeps the cache folder within its limits: what no tree wants goes by itself, and of what is beyond one line tells.

Images are the cluster's own matter: they go when it starts, and after each build.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from . import gotools, limits
from .commands import CommandError, run
from .errors import DevClusterError
from .locks import try_lock, unlock
from .paths import CONTROL_PROGRAMS, cache_dir, control_dir
from .processes import Process, running_programs
from .removal import remove_tree
from .retention import Thing, superfluous
from .sizes import folder_size, folder_sizes, gigabytes
from .slots import sweep
from .trees import Trees


def tidy() -> None:
    """Delete what no tree wants and nothing uses; a part that cannot be tidied is named, and is no failure."""
    trees = Trees()
    trees.forget_lost()
    parts: dict[str, Callable[[], None]] = {
        "tools": lambda: _tools(cache_dir() / "tools", trees),
        "go": _go,
        "uv-cache": lambda: _packages(cache_dir() / "uv-cache"),
        "evidence": lambda: _evidence(cache_dir() / "evidence"),
        "peers": lambda: _peers(cache_dir() / "peers", trees),
        "control": lambda: sweep(control_dir(), CONTROL_PROGRAMS),
    }
    for name, work in parts.items():
        try:
            work()
        except (DevClusterError, OSError) as error:
            print(f"cache: {name} was not tidied: {error}", flush=True)


def tell_excess() -> None:
    """Print one line when the cache takes more than it is meant to: how much, what most of it is, and the command."""
    # Packages first: environments of peers hold the same files.
    sizes = folder_sizes(cache_dir() / name for name in (*limits.PARTS, "peers"))
    total = sum(sizes.values())
    if total > limits.TOTAL:
        most = ", ".join(f"{path.name} {gigabytes(sizes[path])}" for path in sorted(sizes, key=lambda path: -sizes[path])[:3])
        print(
            f"cache: {gigabytes(total)} in {cache_dir()}, and {gigabytes(limits.TOTAL)} are meant to be enough: "
            f"`make clean-cache` deletes it ({most})",
            flush=True,
        )


def _tools(folder: Path, trees: Trees) -> None:
    running = running_programs()
    wanted, newest = trees.wanted("tools"), trees.newest("tools")
    things = []
    for path in _folders(folder):
        if path.suffix == ".tmp":  # NAME-VERSION.PID.tmp: of a build
            if not _is_alive(path.name.split(".")[-2]):
                _delete(path, "a build that was killed left it")
            continue
        used = any(path in program.parents for program in running)
        things.append(Thing(path.name, {path.name: folder_size(path)}, wanted.get(path.name), used or path.name in newest))
    for name in superfluous(things, limits.PARTS["tools"]):
        lock = folder / f"{name}.lock"
        if (held := try_lock(lock)) is not None:  # else it is just being built
            try:
                _delete(folder / name, "no tree uses this version")
            finally:
                unlock(lock, held)


def _go() -> None:
    """Delete Go's caches when all tools are built: they are needed again only for another version."""
    for path in gotools.own_caches():
        if gotools.is_complete() and folder_size(path) > limits.PARTS["go"]:
            lock = gotools.caches_lock()
            if (held := try_lock(lock)) is not None:  # else something is just being built
                try:
                    _delete(path, "all tools are built")
                finally:
                    unlock(lock, held)


def _packages(folder: Path) -> None:
    """Let uv delete what it finds superfluous in its cache, and all of it when that is not enough."""
    uv = cache_dir() / "uv" / "bin" / "uv"
    for command in ("prune", "clean"):
        size = folder_size(folder)
        if size > limits.PARTS["uv-cache"] and uv.exists():
            try:
                run(uv, "cache", command, "--cache-dir", folder, timeout=600)
            except CommandError as error:  # somebody installs packages
                raise DevClusterError(f"{gigabytes(size)}, and {error}") from None
            print(
                f"cache: {folder.name}, {gigabytes(size - folder_size(folder))} of {gigabytes(size)}, deleted by uv", flush=True
            )


def _evidence(folder: Path) -> None:
    """Delete the oldest evidence beyond the limit; the newest stays, however large."""
    paths = sorted(_folders(folder), reverse=True)  # their names begin with the time
    things = [Thing(path.name, {path.name: folder_size(path)}, path.stat().st_mtime, path == paths[0]) for path in paths]
    for name in superfluous(things, limits.PARTS["evidence"]):
        _delete(folder / name, "newer ones are kept")


def _peers(folder: Path, trees: Trees) -> None:
    wanted = trees.wanted("peers")
    for path in _folders(folder):
        if path.name not in wanted and not any(path in program.parents for program in running_programs()):
            _delete(path, "no tree's benchmarks use it")


def _folders(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ()


def _is_alive(pid: str) -> bool:
    return pid.isdigit() and Process.find(int(pid)) is not None


def _delete(path: Path, why: str) -> None:
    size = folder_size(path)
    remove_tree(path)
    print(f"cache: {path.relative_to(cache_dir())}, {gigabytes(size)}, deleted: {why}", flush=True)


if __name__ == "__main__":
    tidy()
