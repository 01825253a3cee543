"""Which of our images containerd keeps, and which archives of them: what trees want, the newest first, within the limit."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from ..limits import IMAGES
from ..retention import Thing, superfluous
from ..trees import Trees
from .tags import REGISTRY

_KIND = "images"


def note_image(trees: Trees, reference: str) -> None:
    """Note that this tree wants an image."""
    trees.note(_KIND, [(reference.rpartition(":")[0], reference)])


def outdated_images(trees: Trees, layers: Mapping[str, Mapping[str, int]], used: Collection[str]) -> list[str]:
    """Return those of our images that are to go: `layers` gives the bytes of each one's layers, `used` those that pods have."""
    wanted, needed = trees.wanted(_KIND), trees.newest(_KIND) | set(used)
    # Each layer lies there twice: packed, and unpacked.
    return superfluous(
        [
            Thing(reference, {digest: 2 * size for digest, size in sizes.items()}, wanted.get(reference), reference in needed)
            for reference, sizes in layers.items()
            if reference.startswith(f"{REGISTRY}/")
        ],
        IMAGES,
    )


def unwanted_images(trees: Trees, references: Collection[str]) -> list[str]:
    """Return those of our images that no tree wants."""
    wanted = trees.wanted(_KIND)
    return [reference for reference in references if reference.startswith(f"{REGISTRY}/") and reference not in wanted]


def layer_sizes(manifest: str) -> dict[str, int]:
    """Return the bytes of each layer of an image, by digest, from its manifest."""
    return {layer["digest"]: layer["size"] for layer in json.loads(manifest).get("layers", ())}


def archive_name(reference: str) -> str:
    """Return the name of the file that an image is packed into."""
    return reference.rpartition("/")[2].replace(":", "-") + ".tar"


def outdated_archives(trees: Trees, folder: Path) -> list[Path]:
    """Return the archives of images that no tree wants."""
    wanted = {archive_name(reference) for reference in trees.wanted(_KIND)}
    return [path for path in sorted(folder.glob("*.tar")) if path.name not in wanted]
