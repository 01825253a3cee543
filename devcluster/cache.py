"""The cache folder: how much it holds, and its end."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from .commands import run
from .control import PROGRAMS
from .errors import DevClusterError
from .paths import cache_dir, control_dir
from .removal import remove_tree
from .slots import sweep
from .steps import Step, take_all

# What we put there. Never the folder itself: PINION_CACHE may name one that holds other things.
PARTS = ("tools", "go", "local", "models", "evidence", "control", "build-logs", "peers", "uv", "uv-cache")


def cache_sizes() -> dict[str, int]:
    """Return the bytes of each part that is there."""
    parts = [cache_dir() / name for name in PARTS]
    return {path.name: int(run("du", "-sk", path, timeout=300).split()[0]) * 1024 for path in parts if path.is_dir()}


def clean_cache(parts: Iterable[str] = PARTS) -> None:
    """Delete parts, as far as they can be; refuse while control planes run from there."""
    sweep(control_dir(), PROGRAMS)
    if control_dir().is_dir() and any(control_dir().iterdir()):
        raise DevClusterError(f"control planes run from {control_dir()}: stop them first")
    take_all(Step(name, partial(_delete, cache_dir() / name)) for name in parts)


def _delete(part: Path) -> None:
    if part.is_dir():
        print(f"deleting {part}", flush=True)
        remove_tree(part)
