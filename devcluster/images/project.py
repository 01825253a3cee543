"""The images of this project: which Dockerfile, which arguments, which folders."""

import os
from dataclasses import dataclass
from pathlib import Path

from ..gotools import KUBO, ensure
from ..hubmirror.models import assemble
from ..hubmirror.tiny_chat import CHAT, make_tiny_chat
from ..paths import REPOSITORY, cache_dir
from ..provider import Cluster
from .spec import ImageSpec

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class ProjectImages:
    """The references of all images that the chart and the demo name."""

    operator: str
    runtime: str
    kubo: str
    hub: str


def operator_spec(base: str) -> ImageSpec:
    """Describe the operator's image."""
    return ImageSpec("operator", REPOSITORY / "Dockerfile.operator", REPOSITORY, {"BASE_IMAGE": base})


def runtime_spec(base: str) -> ImageSpec:
    """Describe the runtime's image; `TORCH_INDEX_URL` of the environment chooses another torch."""
    arguments = {"BASE_IMAGE": base, "TORCH_INDEX_URL": os.environ.get("TORCH_INDEX_URL", "")}
    return ImageSpec("runtime", REPOSITORY / "Dockerfile.runtime", REPOSITORY, arguments)


def kubo_spec(base: str) -> ImageSpec:
    """Describe the image of the IPFS daemon, from the binary that we built."""
    ensure([KUBO])
    return ImageSpec("kubo", _HERE / "Dockerfile.kubo", _HERE, {"BASE_IMAGE": base}, {"kubo": KUBO.bin})


def hub_spec(base: str, models: Path) -> ImageSpec:
    """Describe the hub mirror's image with the models of a folder."""
    return ImageSpec("hub", _HERE / "Dockerfile.hub", REPOSITORY, {"BASE_IMAGE": base}, {"models": models})


def models_folder() -> Path:
    """Return the folder of the models that the hub mirror serves, assembled when it is missing."""
    folder = cache_dir() / "models"
    assemble(folder)
    make_tiny_chat(folder / CHAT)
    return folder


def build_all(cluster: Cluster, models: Path) -> ProjectImages:
    """Build what is missing, with a line for each image."""
    base = cluster.base_image()
    return ProjectImages(
        operator=build(cluster, operator_spec(base)),
        runtime=build(cluster, runtime_spec(base)),
        kubo=build(cluster, kubo_spec(base)),
        hub=build(cluster, hub_spec(base, models)),
    )


def build(cluster: Cluster, spec: ImageSpec) -> str:
    """Build one image, saying whether it was there."""
    print(f"image {spec.name} from {spec.dockerfile.relative_to(REPOSITORY)}", flush=True)
    reference = cluster.build_image(spec)
    print(f"  {reference}", flush=True)
    return reference
