"""The cache folder: how much it holds, and its end."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from . import limits
from .errors import DevClusterError
from .gotools import caches_lock
from .locks import try_lock, unlock
from .paths import CONTROL_PROGRAMS, cache_dir, control_dir
from .removal import remove_tree
from .sizes import folder_sizes
from .slots import sweep
from .steps import Step, take_all

# What we put there. Never the folder itself: PINION_CACHE may name one that holds other things.
PARTS = (*limits.PARTS, "control", "peers", "trees")


def cache_sizes() -> dict[str, int]:
    """Return the bytes of each part that is there."""
    return {path.name: size for path, size in folder_sizes(cache_dir() / name for name in PARTS).items()}


def clean_cache(parts: Iterable[str] = PARTS) -> None:
    """Delete parts, as far as they can be; refuse while control planes run from there, or tools are being built."""
    sweep(control_dir(), CONTROL_PROGRAMS)
    if control_dir().is_dir() and any(control_dir().iterdir()):
        raise DevClusterError(f"control planes run from {control_dir()}: stop them first")
    if not cache_dir().is_dir():
        return
    if (held := try_lock(caches_lock())) is None:
        raise DevClusterError(f"tools are being built in {cache_dir()}: wait until they are")
    try:
        take_all(Step(name, partial(_delete, cache_dir() / name)) for name in parts)
    finally:
        unlock(caches_lock(), held)


def _delete(part: Path) -> None:
    if part.is_dir():
        print(f"deleting {part}", flush=True)
        remove_tree(part)
