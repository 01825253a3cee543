"""What the rest of the project may ask of a cluster, whoever provides it."""

from pathlib import Path
from typing import Protocol

from .images.spec import ImageSpec


class Cluster(Protocol):
    """A Kubernetes cluster that images can be brought to: `local`, `kind` or `existing`."""

    @property
    def name(self) -> str:
        """Return the provider's name."""
        ...

    @property
    def exclusive(self) -> bool:
        """Tell whether all that is in it is ours."""
        ...

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig."""
        ...

    def up(self) -> None:
        """Start the cluster, or find that it runs; raise with what is in the way."""
        ...

    def down(self) -> None:
        """Stop it and leave nothing but caches."""
        ...

    def is_up(self) -> bool:
        """Tell whether it runs and answers."""
        ...

    def base_image(self) -> str:
        """Return the reference of an image with Python to build on, made when it is missing."""
        ...

    def build_image(self, spec: ImageSpec) -> str:
        """Build an image where its pods will find it, unless it is there; return its reference."""
        ...

    def load(self, archive: Path) -> None:
        """Bring an OCI archive to where pods will find its image."""
        ...

    def kubectl(self, *arguments: str, input: str | None = None, timeout: float = 60) -> str:
        """Run kubectl as the administrator and return its standard output; raise KubectlError when it fails."""
        ...
