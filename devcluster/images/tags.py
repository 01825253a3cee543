"""Tags by content: the same inputs give the same tag, so that what is built is not built again, and new code means new pods."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

REGISTRY = "pinion.local"  # a name that no registry answers to: such images are on this machine or nowhere
_IGNORED = {"__pycache__", ".DS_Store"}


def content_tag(files: Mapping[str, Path], *facts: str) -> str:
    """Hash files and folders, under the names given, and further facts; return 16 hexadecimal digits."""
    total = hashlib.sha256()
    for name, path in _walk(files):
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        total.update(f"{name}\0{path.stat().st_mode & 0o111:o}\0{digest}\n".encode())
    for fact in facts:
        total.update(f"{fact}\0".encode())
    return total.hexdigest()[:16]


def copied_paths(dockerfile: str) -> list[str]:
    """Return what the COPY and ADD lines of a Dockerfile take from its own context."""
    joined = dockerfile.replace("\\\n", " ")
    found: list[str] = []
    for line in re.findall(r"^(?:COPY|ADD)\s+(.+)$", joined, re.MULTILINE):
        words = line.split()
        if not any(word.startswith("--from") for word in words):
            found += [word for word in words[:-1] if not word.startswith("--")]
    return found


def _walk(files: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
    for name, path in sorted(files.items()):
        if path.is_dir():
            yield from ((f"{name}/{child.relative_to(path)}", child) for child in sorted(_children(path)))
        else:
            yield name, path


def _children(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and _IGNORED.isdisjoint(path.parts))
